/**
 * The report's own script: sorting, a filter, permalinks that open what they point to, arrow keys in the
 * matrix, and the light/dark button. Everything is readable without it. It makes no request and keeps nothing.
 */
export const SCRIPT = `
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  root.classList.add('js');

  // Sorting: every head of a sortable table becomes a button; numbers sort as numbers, ties keep their order.
  const value = (row, i) => {
    const cell = row.cells[i];
    const text = cell ? (cell.dataset.v ?? cell.textContent.trim()) : '';
    const number = Number(text.replaceAll(',', ''));
    return text !== '' && !Number.isNaN(number) ? number : text;
  };
  const compare = (a, b) =>
    typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === 'number' ? -1 : 1;
  for (const table of all('table.sort')) {
    all('thead tr:last-child th', table).forEach((th, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...th.childNodes);
      th.append(button);
      th.setAttribute('aria-sort', 'none');
      button.addEventListener('click', () => {
        const up = th.getAttribute('aria-sort') !== 'ascending';
        all('th[aria-sort]', table).forEach((h) => h.setAttribute('aria-sort', 'none'));
        th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => (up ? 1 : -1) * compare(value(a, i), value(b, i)));
        table.tBodies[0].append(...rows);
      });
    });
  }

  // Permalinks: open the drill-down that the address names, and show it.
  const follow = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* a stray per cent sign: take it as it is */ }
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let d = target.closest('details'); d; d = d.parentElement.closest('details')) d.open = true;
    target.scrollIntoView();
  };
  addEventListener('hashchange', follow);
  // A second click on a link whose address is already there changes no hash.
  addEventListener('click', (e) => {
    if (e.target.closest?.('a')?.hash === location.hash && location.hash) follow();
  });
  follow();

  // Filter: words that scenario or strategy names must hold.
  const filter = document.getElementById('filter');
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const shows = (text) => words.every((w) => text.includes(w));
    for (const el of all('[data-f]')) el.hidden = !shows(el.dataset.f);
    for (const box of all('[data-box]')) box.hidden = words.length > 0 && !all('[data-f]', box).some((e) => !e.hidden);
  };
  filter.addEventListener('input', apply);
  addEventListener('keydown', (e) => {
    if (e.key === '/' && document.activeElement?.tagName !== 'INPUT') {
      e.preventDefault();
      filter.focus();
    }
    if (e.key === 'Escape' && document.activeElement === filter) {
      filter.value = '';
      apply();
    }
  });

  // Arrow keys move through the matrix.
  document.querySelector('.matrix')?.addEventListener('keydown', (e) => {
    const td = e.target.closest('td');
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[e.key];
    if (!td || !step) return;
    const rows = all('tbody tr:not([hidden])', td.closest('table'));
    const to = rows[rows.indexOf(td.parentElement) + step[0]]?.cells[td.cellIndex + step[1]]?.querySelector('a');
    if (to) { e.preventDefault(); to.focus(); }
  });

  document.getElementById('theme').addEventListener('click', () => {
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme:dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
  });
  document.getElementById('open').addEventListener('click', (e) => {
    const cells = all('#cells details').filter((d) => !d.hidden);
    const open = !cells.every((d) => d.open);
    for (const d of cells) d.open = open;
    e.currentTarget.textContent = open ? 'Close all' : 'Open all';
  });
})();
`.trim();
