/** Owns the elements of a mail: blocks, and the words inside them. How they are written and how they look is decided elsewhere. */

/** A fixed address, or the slot of the link. */
export type Href = string | number
/** Literal, slot, choice, or an element around more of them. */
export type Inline =
  | string
  | number
  | { readonly test: number; readonly yes: readonly Inline[]; readonly no: readonly Inline[] }
  | { readonly kind: 'strong' | 'em' | 'code'; readonly inner: readonly Inline[] }
  | {
      readonly kind: 'link'
      readonly href: Href
      readonly bare: boolean
      readonly hint: string
      readonly inner: readonly Inline[]
    }
  | { readonly kind: 'break' }
export type Block =
  | { readonly kind: 'heading'; readonly level: 1 | 2; readonly inner: readonly Inline[] }
  | { readonly kind: 'paragraph' | 'code'; readonly inner: readonly Inline[] }
  /** `hint`: the words above the address that is shown in full. */
  | { readonly kind: 'button'; readonly href: Href; readonly inner: readonly Inline[]; readonly hint: string }
  | {
      readonly kind: 'list'
      readonly ordered: boolean
      readonly start: number
      readonly items: readonly Block[][]
    }
  | { readonly kind: 'quote'; readonly blocks: readonly Block[] }
  | { readonly kind: 'facts'; readonly rows: readonly Fact[] }
  | {
      readonly kind: 'choice'
      readonly test: number
      readonly yes: readonly Block[]
      readonly no: readonly Block[]
    }
  /** Separates the card from the small print. */
  | { readonly kind: 'rule' }
export interface Fact {
  readonly name: readonly Inline[]
  readonly value: readonly Inline[]
  /** The row is left out when this shows nothing: its whole value stands in a condition. */
  readonly test: number | undefined
}
