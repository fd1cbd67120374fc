/** Runs in the operator's page: what somebody would stumble over who sees little, has a keyboard only or a thumb. */
;(() => {
  const faults = []
  const visible = (element) =>
    element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0
  const nameOf = (control) =>
    control.ariaLabel ||
    control.textContent.trim() ||
    [...(control.labels ?? [])].map((label) => label.textContent).join('')

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const { data, parentElement: element } = walker.currentNode
    if (!data.trim() || !visible(element) || element.closest('script, :disabled')) continue
    const words = data.trim().slice(0, 30)
    const ratio = contrastOf(element)
    if (ratio < 4.5) faults.push(`"${words}" has a contrast of ${ratio.toFixed(2)}`)
    if (Number.parseFloat(getComputedStyle(element).fontSize) < 13) faults.push(`"${words}" is small`)
  }
  for (const control of document.querySelectorAll('button, input, select, a, summary')) {
    if (!visible(control)) continue
    if (!nameOf(control)) faults.push(`${control.outerHTML} has no name`)
    const { height } = control.getBoundingClientRect()
    if (height < 20) faults.push(`"${nameOf(control)}" is ${height} px high`)
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  if (new Set(ids).size < ids.length) faults.push('two elements have one id')
  if (document.querySelectorAll('h1').length !== 1) faults.push('has not one h1')
  return faults
})()
