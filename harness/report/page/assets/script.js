'use strict';
// Values under the pointer, steps of the map, filters. Nothing here is needed
// to read the page.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const tip = document.getElementById('tip');
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  function say(event, lines) {
    tip.replaceChildren(...lines.map(([name, value]) => {
      const line = document.createElement('div');
      const label = document.createElement('b');
      label.textContent = name;
      line.append(label, value === undefined ? '' : ' ' + value);
      return line;
    }));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const x = Math.min(event.clientX + 14, innerWidth - box.width - 8);
    const y = event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18;
    tip.style.left = Math.max(4, x) + 'px';
    tip.style.top = Math.max(4, y) + 'px';
  }
  const hush = () => { tip.hidden = true; };
  const number = v => v === null ? '-' : Number(v).toExponential(1);

  // A picture's colours are read back into the values they stand for.
  const levels = {};
  for (const [kind, colours] of Object.entries(data.palettes)) {
    levels[kind] = new Map(colours.map((c, i) => [parseInt(c, 16), i]));
  }
  const pixels = new WeakMap();
  function pixelsOf(img) {
    if (!pixels.has(img)) {
      const canvas = document.createElement('canvas');
      canvas.width = img.naturalWidth;
      canvas.height = img.naturalHeight;
      const context = canvas.getContext('2d', {willReadFrequently: true});
      context.drawImage(img, 0, 0);
      pixels.set(img, context.getImageData(0, 0, canvas.width, canvas.height));
    }
    return pixels.get(img);
  }
  function valueAt(img, col, row) {
    const p = pixelsOf(img), at = 4 * (row * p.width + col);
    const [r, g, b, a] = p.data.slice(at, at + 4);
    if (a === 0) return 'nothing recorded';
    const rgb = r << 16 | g << 8 | b;
    if (rgb === 0) return 'NaN';
    if (rgb === 1) return 'infinite';
    const colours = levels[img.dataset.kind];
    const level = colours.get(rgb);
    if (level === undefined) return '?';
    const share = level / (colours.size - 1), low = +img.dataset.low, high = +img.dataset.high;
    if (img.dataset.kind === 'signed') {
      return (share === 0 ? '≤ ' : share === 1 ? '≥ ' : '≈ ') + (low * Math.sinh((2 * share - 1) * Math.asinh(high / low))).toPrecision(3);
    }
    return (share === 0 ? '≤ ' : share === 1 ? '≥ ' : '≈ ') + (low * Math.pow(high / low, share)).toPrecision(2);
  }

  const range = (first, last) => first >= last ? `${first}` : `${first} to ${last}`;
  function stepOf(row) {
    let i = 0;
    while (i + 1 < data.steps.length && data.first[i + 1] <= row) i++;
    return data.steps[i];
  }
  // axis words cells of an axis: which of its rows or columns they cover.
  function axis(name, cell, cells, size, dim) {
    const first = Math.ceil(cell * size / cells), last = Math.ceil((cell + 1) * size / cells) - 1;
    let text = `${name} ${range(first, last)}`;
    if (name === 'token' && first === last) {
      if (data.tokens && data.tokens[first] !== undefined) text += ` ${JSON.stringify(data.tokens[first])}`;
      if (data.steps.length > 1) text += ` (step ${stepOf(first)})`;
    }
    if (dim > 0 && name === 'channel') text = `head ${Math.floor(first / dim)}, dim ${range(first % dim, last % dim)}`;
    if (dim > 0 && name === 'layer and head') text = `layer ${Math.floor(first / dim)}, head ${first % dim}`;
    if (name === 'step' && first === last && size === data.steps.length) text = `step ${data.steps[first]}`;
    return text;
  }
  function hoverMap(event) {
    const img = event.target, maps = img.closest('.maps'), set = maps.dataset, box = img.getBoundingClientRect();
    const inside = (x, n) => Math.max(0, Math.min(n - 1, Math.floor(x * n)));
    const col = inside((event.clientX - box.left) / box.width, img.naturalWidth);
    const row = inside((event.clientY - box.top) / box.height, img.naturalHeight);
    const lines = [[axis(set.row, row, img.naturalHeight, +set.rows, +set.dim)], [axis(set.col, col, img.naturalWidth, +set.cols, +set.dim)]];
    for (const other of $$('img', maps)) lines.push([other.dataset.side, valueAt(other, col, row)]);
    say(event, lines);
  }
  for (const img of $$('.maps img')) {
    img.addEventListener('pointermove', hoverMap);
    img.addEventListener('pointerleave', hush);
  }

  // Growth: the recording under the pointer.
  for (const svg of $$('.chart svg')) {
    const rows = data.recordings.filter(r => r[0] === +svg.dataset.step);
    if (rows.length === 0) continue;
    const cursor = svg.querySelector('.cursor');
    svg.addEventListener('pointermove', event => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) * 960 / box.width;
      const pace = (948 - 56) / rows.length;
      const i = Math.max(0, Math.min(rows.length - 1, Math.floor((x - 56) / pace)));
      const [, layer, tap, status, , drift, op, allowed] = rows[i];
      cursor.setAttribute('d', `M${56 + (i + 0.5) * pace} 30V290`);
      say(event, [[data.taps[tap] + (layer < 0 ? '' : `, layer ${layer}`), data.status[status]],
        ['drift', number(drift)], ['op error', number(op)], ['allowed', number(allowed)]]);
    });
    svg.addEventListener('pointerleave', () => { cursor.setAttribute('d', ''); hush(); });
  }

  // The map of one step instead of the worst of all.
  const table = document.querySelector('table.layers');
  const steps = [...new Set(data.recordings.map(r => r[0]))];
  if (table && steps.length > 1) {
    const original = table.tBodies[0].cloneNode(true);
    const label = document.createElement('label');
    const select = document.createElement('select');
    label.append('Show ', select);
    select.append(new Option('the worst of all steps', ''));
    for (const s of steps) select.append(new Option(`step ${s} (${s === 0 ? 'prefill' : 'decode'})`, s));
    if (data.cut) label.append(' (the first steps)');
    document.getElementById('map-tools').append(label);
    select.addEventListener('change', () => {
      table.tBodies[0].replaceWith(original.cloneNode(true));
      if (select.value === '') return;
      const rows = new Map([...table.tBodies[0].rows].map(r => [r.cells[0].textContent, r]));
      for (const row of rows.values()) {
        for (const cell of [...row.cells].slice(1)) {
          cell.className = '';
          cell.textContent = '';
          cell.removeAttribute('title');
        }
      }
      const rank = ['ok', 'missing', 'oracle-invalid', 'inherited', 'introduced'];
      for (const [step, layer, tap, status, shade, drift, op, allowed] of data.recordings) {
        if (step !== +select.value) continue;
        const name = data.taps[tap], row = rows.get(name);
        const cell = row && row.cells[1 + (layer < 0 ? 0 : Math.floor(layer / data.span))];
        if (!cell || rank.indexOf(data.status[status]) <= rank.indexOf(cell.dataset.now)) continue;
        cell.dataset.now = data.status[status];
        cell.className = `cell ${data.status[status]}${shade > 60 ? ' deep' : ''}`;
        cell.style.setProperty('--e', shade + '%');
        cell.textContent = data.marks[status];
        cell.title = `${name}${layer < 0 ? '' : `, layer ${layer}`}, step ${step}: ${data.status[status]}, drift ${number(drift)}, op error ${number(op)}, allowed ${number(allowed)}`;
      }
    });
  }

  // Ops by status.
  const ops = $$('details.op');
  const tools = document.getElementById('op-tools');
  const kinds = [...new Set(ops.map(o => o.dataset.status))];
  if (tools && ops.length > 1) {
    const buttons = ['all', ...(kinds.length > 1 ? kinds : [])].map(kind => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = kind === 'all' ? `all ${ops.length}` : `${kind} ${ops.filter(o => o.dataset.status === kind).length}`;
      button.setAttribute('aria-pressed', kind === 'all');
      button.addEventListener('click', () => {
        for (const b of buttons) b.setAttribute('aria-pressed', b === button);
        for (const o of ops) o.hidden = kind !== 'all' && o.dataset.status !== kind;
      });
      return button;
    });
    if (buttons.length > 1) tools.append(...buttons);
    const toggle = document.createElement('button');
    toggle.type = 'button';
    toggle.textContent = 'close all';
    toggle.addEventListener('click', () => { for (const o of ops) o.open = false; });
    tools.append(toggle);
  }

  // A link to what is folded away opens it.
  function reveal() {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    if (!target) return;
    for (let at = target; at; at = at.parentElement) {
      at.hidden = false;
      if (at.tagName === 'DETAILS') at.open = true;
    }
    target.scrollIntoView();
  }
  addEventListener('hashchange', reveal);
  reveal();
})();
