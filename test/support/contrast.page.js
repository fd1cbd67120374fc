/** Runs in a page: the contrast of an element's text with what lies behind it, as WCAG reckons it. */
globalThis.contrastOf = (element, view = globalThis) => {
  const luminance = (rgb) =>
    rgb
      .map((channel) => channel / 255)
      .map((share) => (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4))
      .reduce((sum, share, index) => sum + share * [0.2126, 0.7152, 0.0722][index], 0)
  const colour = (css) => /\d+(?:\.\d+)?/g[Symbol.match](css).map(Number)
  const groundOf = () => {
    for (let each = element; each; each = each.parentElement) {
      const [red, green, blue, alpha = 1] = colour(view.getComputedStyle(each).backgroundColor)
      if (alpha > 0) return [red, green, blue]
    }
    return [255, 255, 255]
  }
  const text = colour(view.getComputedStyle(element).color).slice(0, 3)
  const [low, high] = [luminance(text), luminance(groundOf())].toSorted((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}
