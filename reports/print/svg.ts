/**
 * A vega-lite spec drawn as SVG text, without a browser. Vega is loaded only when there is something to draw,
 * because loading it takes longer than most comparisons.
 */

import type { Chart } from './charts.ts';
import { escapeMarkup, Markup } from './escape.ts';

/** Draws charts in order. `prefix` keeps ids apart when several pictures stand in one page. */
export async function drawCharts(charts: readonly Chart[], prefix: string): Promise<Markup[]> {
  if (charts.length === 0) return [];
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const drawn: Markup[] = [];
  for (const [i, chart] of charts.entries()) {
    const view = new vega.View(vega.parse(compile(chart.spec).spec), { renderer: 'none' });
    drawn.push(new Markup(slim(await view.toSVG(), `${prefix}${i}`, chart.says)));
    view.finalize();
  }
  return drawn;
}

/** Rounds coordinates, keeps ids apart, and names the picture for those who do not see it. */
function slim(svg: string, id: string, says: string): string {
  const [, width = '0'] = /width="([\d.]+)"/.exec(svg) ?? [];
  const [, height = '0'] = /height="([\d.]+)"/.exec(svg) ?? [];
  const body = svg
    .slice(svg.indexOf('>') + 1)
    .replace(/="[^"<>]*"/g, (value) =>
      value.replace(/\d+\.\d{2,}/g, (n) => String(Number(Number(n).toFixed(1)))),
    )
    .replace(/(id="|url\(#)([a-z_]+\d+)/g, `$1${id}-$2`)
    .replace(/<path d="(M0,0h0v0h0Z)?"( display="none")?\/>/g, '')
    .replace(/ (?:class|font-family|pointer-events|role|aria-[a-z]+)="[^"<>]*"| opacity="1"/g, '');
  return `<svg role="img" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="inherit" aria-label="${escapeMarkup(says)}">${body}`;
}
