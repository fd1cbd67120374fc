import { expect, test } from 'vitest'
import { claimReasons, serviceFailureCodes } from '../../client/src/answer.ts'
import { failureCodes } from '../../src/contract.ts'
import * as errors from '../../src/errors.ts'

test('the client knows every failure code and every reason of the service, and no other', () => {
  expect(serviceFailureCodes.toSorted()).toEqual(failureCodes.toSorted())
  expect(claimReasons.toSorted()).toEqual(errors.claimReasons.toSorted())
})
