// --- Changing things
let asked = null;
function ask(upstream, peer) {
  const back = peer.state === 'draining' || peer.state === 'drained';
  asked = { upstream, peer, back };
  put($('ask-title'), `${back ? 'Restore' : 'Drain'} ${peer.server}?`);
  put($('ask-text'), back ? `It takes new clients of ${upstream} again.`
    : `It gets no new clients of ${upstream} any more; ${whole(peer.sessions ?? 0)} bound sessions stay with it until they end.`);
  $('ask-deadline').hidden = back; $('deadline').value = '';
  put($('ask-yes'), back ? 'Restore' : 'Drain');
  $('ask').showModal();
}
async function carryOut() {
  const { upstream, peer, back } = asked, deadline = $('deadline').value.trim();
  $('ask').close();
  const body = back ? { drain: false } : deadline ? { drain: true, deadline } : { drain: true };
  try {
    const answer = await fetch(`${api}upstreams/${encodeURIComponent(upstream)}/peers/${encodeURIComponent(peer.server)}`,
      { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    const said = await answer.json();
    toast(answer.ok ? `${peer.server} is ${said.state}` : said.error.text);
  } catch (error) { toast(`It could not be changed: ${error.message}`); }
  refresh();
}
function toast(text) {
  put($('toast'), text);
  $('toast').classList.add('on');
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => $('toast').classList.remove('on'), 4000);
}

// --- Controls
function theme(name) {
  if (name === 'auto') delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = name;
  put($('theme'), 'Theme: ' + name);
  store.set('theme', name);
}
function nextTheme() { const all = ['auto', 'light', 'dark']; theme(all[(all.indexOf(store.get('theme') || 'auto') + 1) % 3]); }
function step(by) {
  const rows = [...document.querySelectorAll('.peers[open] tbody tr:not([hidden])')].filter(row => !row.closest('[hidden]'));
  const at = rows.indexOf(document.activeElement?.closest('tr'));
  rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
}
function showMatches() {
  const text = $('filter').value.trim(), none = text && !document.querySelector('#upstreams > details:not([hidden])');
  $('no-match').hidden = !none;
  put($('no-match'), none ? `No server matches “${text}”: neither its name, address, id or state, nor its upstream.` : '');
}
const KEYS = { '/': () => $('filter').focus(), p: () => pause(!paused), r: refresh, t: nextTheme, j: () => step(1), k: () => step(-1),
               d: () => document.activeElement?.closest('tr')?.row?.act(), '?': () => $('keys').showModal() };
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (event.target.matches('input, select')) { if (event.key === 'Escape') { event.target.value = event.target.id === 'filter' ? '' : event.target.value; event.target.blur(); redraw(); } return; }
  if (KEYS[event.key] && $('letters').checked) { event.preventDefault(); KEYS[event.key](); }
});
$('filter').addEventListener('input', redraw);
$('every').addEventListener('change', () => { store.set('every', $('every').value); schedule(); });
$('pause').addEventListener('click', () => pause(!paused));
$('theme').addEventListener('click', nextTheme);
$('help').addEventListener('click', () => $('keys').showModal());
$('keys-close').addEventListener('click', () => $('keys').close());
$('ask-no').addEventListener('click', () => $('ask').close());
$('ask-yes').addEventListener('click', carryOut);
$('letters').checked = store.get('letters') !== 'off';
$('letters').addEventListener('change', () => store.set('letters', $('letters').checked ? 'on' : 'off'));
$('session-form').addEventListener('submit', event => { event.preventDefault(); lookUp(); });
$('session-forget').addEventListener('click', () => changeSession({ method: 'DELETE' }, 'It has been forgotten.'));
$('session-move').addEventListener('submit', event => {
  event.preventDefault();
  changeSession({ method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ move: { to: $('session-to').value } }) },
                `It has been moved to ${$('session-to').value}.`);
});
$('deadline').addEventListener('keydown', event => { if (event.key === 'Enter') carryOut(); });
theme(store.get('theme') || 'auto');
if (store.get('every')) $('every').value = store.get('every');
refresh();
