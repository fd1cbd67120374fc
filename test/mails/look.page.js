/**
 * Runs in a page whose frames each hold one mail: what a reader, a screen reader or a narrow screen would stumble over.
 * Returns sentences, each beginning with the name of its mail.
 */
;(() => {
  const luminance = (rgb) =>
    rgb
      .map((channel) => channel / 255)
      .map((share) => (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4))
      .reduce((sum, share, index) => sum + share * [0.2126, 0.7152, 0.0722][index], 0)
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].toSorted((a, b) => a - b)
    return (high + 0.05) / (low + 0.05)
  }
  const colour = (css) => /\d+(?:\.\d+)?/g[Symbol.match](css).map(Number)
  const groundOf = (element, view) => {
    for (let each = element; each; each = each.parentElement) {
      const [red, green, blue, alpha = 1] = colour(view.getComputedStyle(each).backgroundColor)
      if (alpha > 0) return [red, green, blue]
    }
    return [255, 255, 255]
  }

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
      const ratio = contrast(colour(style.color).slice(0, 3), groundOf(element, view))
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
