/** Owns how a command reads an address. */
import { checkAddress } from '../address.ts'
import { CommandError } from './terminal.ts'

/** As the store knows it: the domain as A-labels. Throws a `CommandError` for anything but one plain address. */
export function readAddress(given: string): string {
  try {
    return checkAddress(given)
  } catch {
    throw new CommandError('that is not one plain address')
  }
}
