/**
 * Runs in a page whose frames each hold one mail: what a reader, a screen reader or a narrow screen would stumble over.
 * Returns sentences, each beginning with the name of its mail.
 */
;(() => {
  const faults = []
  for (const frame of document.querySelectorAll('iframe')) {
    const page = frame.contentDocument
    const view = frame.contentWindow
    const fault = (words) => faults.push(`${frame.title}: ${words}`)
    const root = page.documentElement
    if (root.scrollWidth > frame.clientWidth) fault(`is ${root.scrollWidth} px wide`)
    if (!root.lang || !root.dir) fault('has no language or direction')
    if (!page.title) fault('has no title')
    if (page.querySelectorAll('h1').length !== 1) fault('has not one h1')
    if (!page.querySelector('[role=article][lang][dir][aria-label]')) fault('is not wrapped as an article')
    for (const table of page.querySelectorAll('table')) {
      const data = table.querySelector(':scope > tbody > tr > th[scope=row]')
      if (!data && table.getAttribute('role') !== 'presentation')
        fault('has a layout table that says it is data')
      if (data && table.getAttribute('role')) fault('has a data table that says it is layout')
    }
    const hidden = page.querySelector('body > div')
    if (view.getComputedStyle(hidden).display !== 'none') fault('shows its preheader')

    const walker = page.createTreeWalker(page.body, view.NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement
      if (!walker.currentNode.data.trim() || hidden.contains(element)) continue
      const style = view.getComputedStyle(element)
      const words = walker.currentNode.data.trim().slice(0, 30)
      const ratio = contrastOf(element, view)
      if (ratio < 4.5) fault(`"${words}" has a contrast of ${ratio.toFixed(2)}`)
      if (Number.parseFloat(style.fontSize) < 14) fault(`"${words}" is ${style.fontSize} high`)
    }
    const button = page.querySelector('td.b')
    if (button) {
      const box = button.getBoundingClientRect()
      if (box.height !== 50) fault(`has a button ${box.height} px high: its label does not fit on a line`)
      if (frame.clientWidth < 400 && box.bottom > 640)
        fault(`has its button end at ${box.bottom} px on a phone`)
    }
  }
  return faults
})()
