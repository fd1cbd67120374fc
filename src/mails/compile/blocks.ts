/** Owns the elements of a mail: blocks, and the words inside them. How they are written and how they look is decided elsewhere. */

/** Literals and slots: a fixed address, the link, or an address with values in it. */
export type Href = readonly (string | number)[]
/** Literal, slot, choice, or an element around more of them. */
export type Inline =
  | string
  | number
  | { readonly test: number; readonly yes: readonly Inline[]; readonly no: readonly Inline[] }
  | { readonly loop: number; readonly body: readonly Inline[] }
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
      readonly items: readonly ListItem[]
    }
  | { readonly kind: 'quote'; readonly blocks: readonly Block[] }
  /** Without a head: facts, which are names and values. */
  | {
      readonly kind: 'table'
      readonly head: readonly (readonly Inline[])[] | undefined
      readonly align: readonly Align[]
      readonly rows: readonly Row[]
    }
  | {
      readonly kind: 'choice'
      readonly test: number
      readonly yes: readonly Block[]
      readonly no: readonly Block[]
    }
  | { readonly kind: 'loop'; readonly loop: number; readonly body: readonly Block[] }
  /** Separates the card from the small print. */
  | { readonly kind: 'rule' }
export type Align = 'left' | 'center' | 'right' | null
export type ListItem =
  | readonly Block[]
  | { readonly loop: number; readonly body: readonly ListItem[] }
  | { readonly test: number; readonly yes: readonly ListItem[]; readonly no: readonly ListItem[] }
export type Row =
  | { readonly cells: readonly (readonly Inline[])[] }
  | { readonly loop: number; readonly body: readonly Row[] }
  | { readonly test: number; readonly yes: readonly Row[]; readonly no: readonly Row[] }
