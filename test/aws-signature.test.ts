import { expect, it } from 'vitest'
import { signAws } from '../src/aws-signature.ts'

const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const request = {
  method: 'GET',
  url: 'https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08',
  headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
  body: '',
  service: 'iam',
  region: 'us-east-1',
  date: new Date('2015-08-30T12:36:00.999Z'),
}

it('the vector of the AWS General Reference is signed as AWS signs it', () => {
  expect(signAws(request, { accessKeyId: 'AKIDEXAMPLE', secretAccessKey, sessionToken: undefined })).toEqual({
    'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
    'x-amz-date': '20150830T123600Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
  })
})

it('the token of temporary credentials is sent and signed', () => {
  const signed = signAws(request, { accessKeyId: 'AKIDEXAMPLE', secretAccessKey, sessionToken: 'token' })
  expect(signed['x-amz-security-token']).toBe('token')
  expect(signed['authorization']).toContain(
    'SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,',
  )
})
