'use strict';
// What is on the page is made once per thing (zone, store, upstream, peer, worker, alert) and found again
// by its key; a refresh changes only the texts and classes that differ.
const $ = id => document.getElementById(id);
const api = document.documentElement.dataset.api;
const store = { get: k => { try { return localStorage.getItem('limpet.' + k); } catch { return null; } },
                set: (k, v) => { try { localStorage.setItem('limpet.' + k, v); } catch { /* private mode */ } } };

// --- Small tools
function make(tag, cls, text) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined) node.textContent = text;
  return node;
}
function svg(tag, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  return node;
}
function put(node, text) {
  text = String(text);
  if (node.shown === text) return;
  node.shown = text;
  if (node.firstChild?.nodeType === Node.TEXT_NODE) node.firstChild.data = text; else node.textContent = text;
}
function setClass(node, cls) { if (node.className !== cls) node.className = cls; }
function setVar(node, name, value) {
  if (node[name] === value) return;
  node[name] = value;
  node.style.setProperty(name, value);
}
const whole = n => n === undefined || n === null ? '–' : n.toLocaleString('en-US');
const rate = n => n === null || n === undefined ? '–' : n >= 9.95 ? Math.round(n).toLocaleString('en-US') : n >= .05 ? n.toFixed(1) : '0';
function bytes(n) {
  if (n === null || n === undefined) return '–';
  for (const unit of ['B', 'kB', 'MB', 'GB', 'TB']) {
    if (n < 999.5 || unit === 'TB') return (n < 9.95 && unit !== 'B' ? n.toFixed(1) : Math.round(n)) + ' ' + unit;
    n /= 1000;
  }
}
function span(ms) {
  const s = Math.round(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  const two = (big, unit, small, less) => big + unit + (small ? ` ${small}${less}` : '');
  return d ? two(d, 'd', h % 24, 'h') : h ? two(h, 'h', m % 60, 'm') : m ? two(m, 'm', s % 60, 's') : s + 's';
}
const percent = share => (share * 100).toFixed(share < .1 ? 1 : 0).replace('.0', '') + '%';
const sum = (list, f) => list.reduce((total, item) => total + f(item), 0);

// Things by key: made when first seen, taken away when gone, in the order of the data.
class Keyed {
  constructor(parent, create, order) { Object.assign(this, { parent, create, order, items: new Map() }); }
  update(entries) {
    for (const [key, item] of this.items) if (!entries.has(key)) { item.node.remove(); this.items.delete(key); }
    for (const [key, data] of entries) {
      let item = this.items.get(key);
      if (!item) { item = this.create(key, data); item.key = key; this.items.set(key, item); }
      item.data = data;
      item.update(data);
    }
    let wanted = [...entries.keys()].map(key => this.items.get(key));
    if (this.order) wanted = this.order(wanted);
    wanted.forEach((item, i) => { if (this.parent.children[i] !== item.node) this.parent.insertBefore(item.node, this.parent.children[i] || null); });
  }
}

// Growth per second between two refreshes; null where a counter began anew or there is no earlier one.
const seen = new Map();
let clock = 0, sources = {};
function perSecond(key, value, source) {
  const before = seen.get(key);
  seen.set(key, { value, clock, source });
  if (!before || before.source !== source || clock <= before.clock || value < before.value) return null;
  return (value - before.value) * 1000 / (clock - before.clock);
}
function line(points, from, to, top, width, height) {
  return points.map(p => `${((p.t - from) / (to - from) * width).toFixed(1)},${(height - Math.min(p.v / (top || 1), 1) * height).toFixed(1)}`).join('L');
}

// --- Overview
function tile(label, spark) {
  const node = make('div', 'panel tile'), value = make('div', 'value', '–'), note = make('div', 'note', ' ');
  node.append(make('div', 'label', label), value, note);
  const points = [], path = svg('path', { fill: 'none', stroke: 'var(--accent)', 'stroke-width': 1.5, 'vector-effect': 'non-scaling-stroke', opacity: .7 });
  const faults = svg('path', { fill: 'none', stroke: 'var(--bad)', 'stroke-width': 1.5, 'vector-effect': 'non-scaling-stroke' });
  if (spark) { const s = svg('svg', { viewBox: '0 0 100 32', preserveAspectRatio: 'none', 'aria-hidden': 'true' }); s.append(path, faults); node.append(s); }
  $('tiles').append(node);
  return { hour: null, showHour(hour) {  // requests and faults of the last hour, as the master has kept them
    this.hour = hour;
    const most = Math.max(1, ...hour.requests), n = Math.max(2, hour.requests.length), at = list => list.map((v, t) => ({ t, v }));
    if (hour.requests.length > 1) path.setAttribute('d', 'M' + line(at(hour.requests), 0, n - 1, most, 100, 30));
    if (hour.faults.some(v => v)) faults.setAttribute('d', 'M' + line(at(hour.faults), 0, n - 1, most, 100, 30)); else faults.removeAttribute('d');
    node.title = `requests of the last ${Math.round(hour.requests.length * hour.every_ms / 60e3)} minutes; red: 5xx`;
  }, show(text, more, number) {
    put(value, text); put(note, more); note.title = more;
    if (!spark || number === null || this.hour?.requests.length > 1) return;
    points.push({ t: clock, v: number });
    if (points.length > 90) points.shift();
    if (points.length > 1) path.setAttribute('d', 'M' + line(points, points[0].t, clock, Math.max(...points.map(p => p.v)), 100, 30));
  } };
}
const tiles = { requests: tile('Requests per second', true), connections: tile('Connections', true), sessions: tile('Sessions', true), servers: tile('Servers') };
function showOverview(root, zones, upstreams) {
  const c = root.connections, perSec = perSecond('requests', c.requests, root.master_pid);
  tiles.requests.show(rate(perSec), `${whole(c.requests)} in all`, perSec);
  tiles.connections.show(whole(c.active), `${c.writing} busy, ${c.waiting} idle, ${c.reading} reading`, c.active);
  const all = Object.values(zones), active = sum(all, z => z.active), hits = sum(all, z => z.hits), lookups = sum(all, z => z.lookups);
  tiles.sessions.show(whole(active), !all.length ? 'no zone' : lookups ? `${percent(hits / lookups)} of lookups hit` : 'no lookups yet', active);
  const peers = Object.values(upstreams).flatMap(u => u.peers), count = {};
  for (const peer of peers) count[peer.state] = (count[peer.state] || 0) + 1;
  const others = Object.keys(count).filter(s => s !== 'up').map(s => `${count[s]} ${s}`);
  tiles.servers.show(`${count.up || 0} of ${peers.length} up`, others.join(', ') || 'all take requests', null);
  put($('about'), `${root.host} · ${root.version} · generation ${root.generation} · up ${span(root.uptime_s * 1000)}`);
}

// --- Zones
const HOUR = 3600e3;
const zones = new Keyed($('zones'), (name, first) => {
  const node = make('details', 'panel zone'), head = make('summary', 'head'), fill = make('span', 'fill'), count = make('span', 'muted'), serves = make('span', 'serves muted');
  const meter = make('div', 'meter'), level = make('i'), marks = [0, 1, 2].map(() => make('b'));
  meter.append(level, ...marks);
  meter.setAttribute('role', 'meter'); meter.setAttribute('aria-label', 'fill level of ' + name);
  meter.setAttribute('aria-valuemin', 0); meter.setAttribute('aria-valuemax', 100);
  head.append(make('h3', '', name), serves, meter, count, fill);
  let shown = '';  // the level at which it was opened: it opens by itself when it gets worse
  const course = make('div', 'course'), picture = svg('svg', { viewBox: '0 0 600 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const area = svg('path', { class: 'area' }), curve = svg('path', { class: 'line' }), limits = [0, 1, 2].map(() => svg('line', { x1: 0, x2: 600 }));
  picture.append(...limits, area, curve);
  const labels = [0, 1, 2].map(() => make('span'));
  course.append(picture, ...labels);
  const axis = make('div', 'axis');
  axis.append(make('span', '', '60 min ago'), make('span', '', '30'), make('span', '', 'now'));
  const facts = make('dl', 'facts'), values = {};
  for (const [key, label] of [['hits', 'Hits/s'], ['misses', 'Misses/s'], ['created', 'Created/s'], ['expired', 'Expired/s'], ['rotated', 'Rotated'],
                              ['refused', 'Refused'], ['too_long', 'Too long'], ['over_quota', 'Over quota'], ['over_rate', 'Over rate'], ['oldest', 'Oldest'], ['timeout', 'Timeout'], ['full', 'Full in']]) {
    const box = make('div'); values[key] = make('dd', '', '–'); box.append(make('dt', '', label), values[key]); facts.append(box);
  }
  const body = make('div', 'body'); body.append(course, axis, facts); node.append(head, body);
  const points = (first.history?.fill || []).map((v, i, list) => ({ t: clock - (list.length - i) * first.history.every_ms, v }));
  return { node, update(zone) {
    const f = zone.fill_limits, state = zone.fill >= f.crit ? 'crit' : zone.fill >= f.major ? 'major' : zone.fill >= f.minor ? 'minor' : '';
    setClass(node, 'panel zone ' + state);
    const levels = ['', 'minor', 'major', 'crit'];
    if (levels.indexOf(state) > levels.indexOf(shown)) node.open = true;
    shown = state;
    put(serves, zone.upstreams?.length ? 'for ' + zone.upstreams.join(', ') : '');
    put(fill, percent(zone.fill));
    put(count, `${whole(zone.active)} of ${whole(zone.capacity)} sessions`);
    meter.setAttribute('aria-valuenow', Math.round(zone.fill * 100));
    setVar(level, 'transform', `scaleX(${zone.fill.toFixed(4)})`);
    [f.minor, f.major, f.crit].forEach((limit, i) => {
      setVar(marks[i], 'left', limit * 100 + '%'); setVar(labels[i], 'top', (1 - limit) * 100 + '%'); put(labels[i], percent(limit));
      limits[i].setAttribute('y1', 100 - limit * 100); limits[i].setAttribute('y2', 100 - limit * 100);
    });
    points.push({ t: clock, v: zone.fill, live: true });
    while (points[0].t < clock - HOUR) points.shift();
    if (!node.open) return;
    const d = line(points, clock - HOUR, clock, 1, 600, 100);
    curve.setAttribute('d', 'M' + d);
    area.setAttribute('d', `M${d}L600,100L${((points[0].t - clock + HOUR) / HOUR * 600).toFixed(1)},100Z`);
    for (const key of ['hits', 'misses', 'created', 'expired']) put(values[key], rate(perSecond(`zone ${name} ${key}`, zone[key], '')));
    for (const key of ['rotated', 'refused', 'too_long', 'over_quota', 'over_rate']) put(values[key], whole(zone[key]));
    put(values.oldest, zone.active ? span(zone.oldest_age_ms) : '–');
    put(values.timeout, zone.timeout_ms ? span(zone.timeout_ms) : 'never');
    const recent = points.filter(p => p.live && p.t >= clock - 60e3), grown = (zone.fill - recent[0].v) / Math.max(1, clock - recent[0].t);
    put(values.full, zone.active >= zone.capacity ? 'now' : recent.length > 4 && grown > 0 ? span((1 - zone.fill) / grown) : '–');
  } };
});

// --- Session stores: a line for each zone of one; the first says where it is
const stores = new Keyed($('stores'), key => {
  const node = make('tr'), cells = Array.from({ length: 11 }, (_, i) => make('td', i < 3 ? 'l' : '', ' '));
  const name = make('span'), sub = make('span', 'sub'), pill = make('span', 'pill');
  cells[0].replaceChildren(name, ' ', sub); cells[2].replaceChildren(pill);
  node.append(...cells);
  return { node, update({ store, zone, servers, facts: f }) {
    const lost = f.state === 'lost', persec = field => rate(perSecond(`store ${key} ${field}`, f[field], ''));
    put(name, store); put(sub, servers);
    put(cells[1], zone);
    setClass(pill, 'pill ' + f.state);
    put(pill, lost ? 'lost ' + span(f.lost_ms) : f.state);
    pill.title = lost ? 'since ' + f.lost_since : '';
    [f.lag_ms < 1e4 ? f.lag_ms + ' ms' : span(f.lag_ms), whole(f.waiting), whole(f.dropped), persec('asked'), persec('found'), whole(f.timed_out), persec('written'),
     persec('applied')].forEach((text, i) => put(cells[i + 3], text));
    cells[4].classList.toggle('err', lost && f.waiting > 0); cells[5].classList.toggle('err', f.dropped > 0);
  } };
});
function showStores(all) {
  const lines = new Map();
  for (const [store, { servers, zones }] of Object.entries(all))
    Object.entries(zones).forEach(([zone, facts], i) => lines.set(`${store}\n${zone}`, { store, zone, servers: i ? '' : servers.join(', '), facts }));
  stores.update(lines);
  $('stores-title').hidden = $('stores-panel').hidden = !lines.size;
}

// --- Upstreams: one table each
const COLUMNS = [['Server', 'l server', p => p.server], ['State', 'l state', p => p.state], ['Req/s', 'share', p => p.perSec || 0], ['Conns', '', p => p.conns],
  ['Sessions', 'share sessions', p => p.sessions || 0], ['Time', 'less', p => p.response_time], ['2xx', 'wide', p => p.responses['2xx']], ['3xx', 'wide', p => p.responses['3xx']],
  ['4xx', 'less', p => p.responses['4xx']], ['5xx', '', p => p.responses['5xx']], ['Fails', 'less', p => p.fails], ['In/s', 'less', p => p.inSec || 0],
  ['Out/s', 'out', p => p.outSec || 0], ['Weight', 'wide', p => p.weight], ['Requests', 'wide', p => p.requests]];
let mayWrite = false;
const inView = new IntersectionObserver(list => { for (const entry of list) entry.target.row?.look(entry.isIntersecting); }, { rootMargin: '400px' });
// What is broken comes first; what an operator has taken out stays where it was.
const WORST = { unhealthy: 0, unavailable: 0, checking: 1, down: 2 };
const rank = p => WORST[p.state] ?? 3;
let there = 0;  // what time it was there: the browser's clock may be another
function ago(iso) { return span(Math.max(0, Date.parse(iso) ? there - Date.parse(iso) : 0)); }
function why(p) {
  const checks = p.health_checks, failed = checks.failed_in ? `check failed while ${checks.failed_in}` : p.state === 'unavailable' ? 'over max_fails' : '';
  if (p.state === 'up' || p.state === 'busy') return checks.failed_in ? `last ${failed}` : '';
  return [p.changed && `for ${ago(p.changed)}`, failed, checks.last && `checked ${ago(checks.last)} ago`].filter(Boolean).join(', ');
}
function peerRow(group, first) {
  const node = make('tr'), cells = COLUMNS.map(([label, cls]) => { const td = make('td', cls, ' '); td.dataset.label = label; node.append(td); return td; });
  const name = make('span'), sub = make('span', 'sub'), because = make('span', 'sub why'), pill = make('span', 'pill'), act = make('td', 'act'), button = make('button');
  cells[0].replaceChildren(name, ' ', sub, because); cells[1].replaceChildren(pill); act.append(button); node.append(act);
  node.tabIndex = -1;
  node.row = null;
  cells[0].setAttribute('role', 'rowheader');
  // Rows that nobody sees are brought up to date when they come into view.
  const row = { node, seen: true, stale: null, update(p) {
    const hidden = !matches(group.name, p);
    if (node.hidden !== hidden) node.hidden = hidden;
    if (row.seen) row.draw(p); else row.stale = p;
  }, look(seen) {
    row.seen = seen;
    if (seen && row.stale) row.draw(row.stale);
  }, draw(p) {
    row.stale = null;
    put(name, p.server);
    put(sub, [p.name !== p.server && p.name, p.backup && 'backup'].filter(Boolean).join(' · '));
    const reason = why(p); put(because, reason); because.hidden = !reason; because.title = reason; setClass(because, rank(p) < 1 ? 'sub why bad' : 'sub why');
    cells[0].title = 'id ' + p.id + (p.health_checks.last ? ` · last check ${p.health_checks.last_passed ? 'passed' : 'failed'} ${p.health_checks.last}` : '');
    setClass(pill, 'pill ' + p.state);
    put(pill, p.state + (p.drain_left_ms !== undefined ? ' ' + span(p.drain_left_ms) : ''));
    pill.title = p.drain_left_ms === undefined ? '' : p.drain_keeps ? 'WebSockets and streams stay open after that'
      : 'WebSockets and streams are ended then';
    const errors = p.responses['4xx'], faults = p.responses['5xx'];
    const texts = [rate(p.perSec), p.max_conns ? `${p.conns} / ${p.max_conns}` : p.conns, whole(p.sessions), p.requests ? p.response_time + ' ms' : '–',
      whole(p.responses['2xx']), whole(p.responses['3xx']), whole(errors), whole(faults), whole(p.fails), bytes(p.inSec), bytes(p.outSec), p.weight, whole(p.requests)];
    texts.forEach((text, i) => put(cells[i + 2], text));
    setVar(cells[2], '--share', ((p.perSec || 0) / (group.most.perSec || 1)).toFixed(3));
    setVar(cells[4], '--share', ((p.sessions || 0) / (group.most.sessions || 1)).toFixed(3));
    cells[9].classList.toggle('err', p.newFaults > 0); cells[10].classList.toggle('err', p.newFails > 0);
    act.hidden = !mayWrite || !group.shared;
    const back = p.state === 'draining' || p.state === 'drained';
    put(button, back ? 'Restore' : 'Drain');
    button.setAttribute('aria-label', `${back ? 'Restore' : 'Drain'} ${p.server} of ${group.name}`);
  }, act() { if (!act.hidden) ask(group.name, row.data); } };
  button.addEventListener('click', () => row.act());
  node.row = row;
  inView.observe(node);
  return row;
}
const upstreams = new Keyed($('upstreams'), name => {
  const node = make('details', 'panel peers'), summary = make('summary'), note = make('span', 'muted'), times = make('span', 'muted times'), right = make('span', 'right');
  times.title = 'of all requests since the start: half, 95 and 99 of a hundred took no longer';
  node.open = true; node.style.marginBottom = '12px';
  summary.append(make('h3', '', name), note, times, right);
  const scroll = make('div', 'scroll'), table = make('table'), heads = make('tr'), body = make('tbody'), group = { name, most: {}, sort: null };
  const actHead = make('th', 'act'); actHead.scope = 'col'; actHead.append(make('span', 'unseen', 'Action'));
  COLUMNS.forEach(([label, cls], i) => {
    const th = make('th', cls), button = make('button', '', label); th.scope = 'col';
    button.addEventListener('click', () => {
      group.sort = group.sort?.i !== i ? { i, up: i < 2 } : group.sort.up === (i < 2) ? { i, up: i >= 2 } : null;
      [...heads.children].forEach(other => other.removeAttribute('aria-sort'));
      if (group.sort) th.setAttribute('aria-sort', group.sort.up ? 'ascending' : 'descending');
      redraw();
    });
    th.append(button); heads.append(th);
  });
  heads.append(actHead);
  const thead = make('thead'); thead.append(heads); table.append(make('caption', 'unseen', 'Servers of ' + name), thead, body); scroll.append(table); node.append(summary, scroll);
  const rows = new Keyed(body, (key, p) => peerRow(group, p), items => {
    if (!group.sort) return items.some(item => rank(item.data) < 3) ? [...items].sort((a, b) => rank(a.data) - rank(b.data)) : items;
    const value = COLUMNS[group.sort.i][2], sign = group.sort.up ? 1 : -1;
    return [...items].sort((a, b) => sign * (value(a.data) < value(b.data) ? -1 : value(a.data) > value(b.data) ? 1 : 0));
  });
  return { node, update(upstream) {
    group.shared = upstream.shared;
    const source = upstream.shared ? '' : sources.pid, entries = new Map();
    upstream.peers.forEach(p => {
      let key = p.server, n = 1;
      while (entries.has(key)) key = `${p.server} ${++n}`;
      entries.set(key, p);
      const of = (field, value) => perSecond(`peer ${name} ${key} ${field}`, value, source);
      if (p.fresh) return;
      Object.assign(p, { fresh: true, perSec: of('requests', p.requests), inSec: of('received', p.received), outSec: of('sent', p.sent),
                         newFaults: of('5xx', p.responses['5xx']), newFails: of('fails', p.fails) });
    });
    group.most = { perSec: Math.max(0, ...upstream.peers.map(p => p.perSec || 0)), sessions: Math.max(0, ...upstream.peers.map(p => p.sessions || 0)) };
    rows.update(entries);
    actHead.hidden = !mayWrite || !group.shared;
    node.classList.toggle('no-sessions', upstream.peers.every(p => p.sessions === undefined));
    const up = upstream.peers.filter(p => p.state === 'up').length, sessions = upstream.peers.some(p => p.sessions !== undefined);
    put(note, `${up} of ${upstream.peers.length} up${upstream.shared ? '' : ' · no zone: the view of one worker'}` +
      (upstream.queue ? ` · ${whole(upstream.queue.waiting)} of ${whole(upstream.queue.limit)} wait` : ''));
    setClass(note, up ? 'muted' : 'bad');
    const t = upstream.traffic;
    put(times, t?.times.some(n => n) ? `p50 ${ms(t.p50_ms)} · p95 ${ms(t.p95_ms)} · p99 ${ms(t.p99_ms)}` + stuck(t.sticky) : '');
    put(right, `${rate(upstream.peers.every(p => p.perSec === null) ? null : sum(upstream.peers, p => p.perSec || 0))} req/s` +
      (sessions ? ` · ${whole(sum(upstream.peers, p => p.sessions || 0))} sessions` : ''));
    node.hidden = !upstream.peers.some(p => matches(name, p));
  } };
});
const ms = n => n < 9.95 ? n.toFixed(1) + ' ms' : n < 1e4 ? Math.round(n) + ' ms' : span(n);
// How many of the requests that brought a session did not reach its server.
function stuck(s) {
  const away = s.rebound + s.drained + s.strict + s.busy, all = away + s.hit + s.asked;
  return all ? ` · ${percent((all - away) / all)} stuck` : '';
}
function matches(upstream, p) {
  const text = $('filter').value.trim().toLowerCase();
  return !text || [upstream, p.server, p.name, p.id, p.state].some(part => part.toLowerCase().includes(text));
}

// --- Workers and alerts
const workers = new Keyed($('workers'), pid => {
  const node = make('tr'), cells = Array.from({ length: 8 }, (_, i) => make('td', i ? '' : 'l', ' '));
  node.append(...cells);
  return { node, update(w) {
    [w.pid, rate(perSecond('worker ' + pid, w.requests, pid)), whole(w.requests), whole(w.accepted), w.active, w.reading, w.writing, w.waiting].forEach((text, i) => put(cells[i], text));
  } };
});
function showDeaths(incidents) {
  const deaths = Object.entries(incidents.worker_deaths).filter(([, n]) => n);
  put($('deaths'), deaths.length ? `${sum(deaths, d => d[1])} died since the start: ${deaths.map(([how, n]) => `${n} by ${how}`).join(', ')}` : 'None has died.');
}
const alerts = new Keyed($('alerts'), (number, alert) => {
  const node = make('li'), time = make('time', '', alert.time.replace('T', ' ').slice(5, 19)), level = make('span');
  time.dateTime = alert.time;
  level.append(make('span', 'pill ' + alert.level, alert.level));
  node.append(time, level, make('span', '', alert.text));
  return { node, update() {} };
});

// --- Refreshing
let last = null, seldomAt = 0, timer = 0, paused = false, busy = false, failing = 0;
function draw([root, zoneData, upstreamData, { problems, alerts: alertData }, storeData]) {
  performance.mark('draw');
  mayWrite = root.write; sources = { pid: root.pid }; there = Date.parse(root.time);
  showProblems(problems, root);
  showOverview(root, zoneData, upstreamData);
  zones.update(new Map(Object.entries(zoneData)));
  $('zones-title').hidden = !Object.keys(zoneData).length;
  showStores(storeData);
  upstreams.update(new Map(Object.entries(upstreamData)));
  showMatches();
  workers.update(new Map(root.workers.map(w => [w.pid, w])));
  showDeaths(root.incidents);
  alerts.update(new Map(alertData.map(a => [a.number, a])));
  $('no-alerts').hidden = alertData.length > 0;
  showSessionZones(Object.keys(zoneData));
  performance.measure('draw', 'draw');
}
function redraw() { if (last) { upstreams.update(new Map(Object.entries(last[2]))); showMatches(); } }
async function load(path) {
  const answer = await fetch(api + path, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`${answer.status} for ${api + path}`);
  return answer.json();
}
async function refresh() {
  if (busy) return;
  busy = true; clearTimeout(timer);
  try {
    const data = await Promise.all([load(''), load(last ? 'sessions' : 'sessions?history=1'), load('upstreams'), load('alerts?problems=1'),
                                    !last || Object.keys(last[0].stores).length ? load('stores') : {}]);
    clock = performance.timeOrigin + performance.now();
    last = data; failing = 0;
    draw(data);
    if (clock >= seldomAt) { seldomAt = clock + 20e3; refreshSeldom(); }
  } catch (error) {
    ++failing;
    console.debug(error);
    $('live').title = String(error.message || error);
  }
  busy = false;
  document.documentElement.dataset.refreshes = Number(document.documentElement.dataset.refreshes || 0) + 1;
  schedule();
}
function schedule() {
  clearTimeout(timer);
  setClass($('live'), failing ? 'live lost' : paused ? 'live paused' : 'live');
  put($('live'), failing ? 'no answer' : paused ? 'paused' : 'live');
  if (!paused && !document.hidden) timer = setTimeout(refresh, Number($('every').value));
}
function pause(on) {
  paused = on;
  $('pause').setAttribute('aria-pressed', on);
  put($('pause'), on ? 'Go on' : 'Pause');
  if (on) schedule(); else refresh();
}
document.addEventListener('visibilitychange', () => { if (document.hidden) clearTimeout(timer); else if (!paused) refresh(); });

