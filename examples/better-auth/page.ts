/** The one page of the site. Its script does by fetch what better-auth's own browser client does. */
export const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>better-auth with jwt-mailer</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 10vh auto; padding: 0 1rem }
label { display: block; margin: .5rem 0 } input { display: block; width: 100%; font: inherit; padding: .3rem }
button { font: inherit; margin: .5rem .5rem 0 0; padding: .4rem .8rem }</style>
<h1>An account</h1>
<p id="told" role="status">Register, read the mail, open its link, sign in.</p>
<form>
<label>Name <input name="name" autocomplete="name"></label>
<label>Email <input name="email" type="email" autocomplete="email" required></label>
<label>Password, 8 characters or more <input name="password" type="password" minlength="8" required></label>
<button value="sign-up/email">Register</button><button value="sign-in/email">Sign in</button>
</form>
<script type="module">
const told = document.querySelector('#told')
const show = (text) => { told.textContent = text }
const { user } = (await (await fetch('/api/auth/get-session')).json()) ?? {}
if (user) show('Signed in as ' + user.email + (user.emailVerified ? ', confirmed.' : '.'))
else if (location.search === '?confirmed') show('Your address is confirmed. Sign in.')
document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const fields = Object.fromEntries(new FormData(event.target))
  const way = event.submitter.value
  const response = await fetch('/api/auth/' + way, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...fields, callbackURL: '/?confirmed' }),
  })
  if (!response.ok) show((await response.json()).message ?? 'That did not work.')
  else if (way === 'sign-in/email') location.href = '/'
  else show('Look into your mail, and open its link.')
})
</script>
</html>
`
