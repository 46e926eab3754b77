/**
 * The HTML report: one file, no network, a content security policy that allows exactly its own style and
 * script by their hashes. Same Comparison, same bytes.
 */
import type { Comparison } from '../../scenarios/run/comparison.ts';
import type { ReportOptions } from '../options.ts';
import { html, join, Markup } from '../print/escape.ts';
import { plural } from '../print/words.ts';
import { provenanceSection, readingSection, seriesSection, threadSection } from './about.ts';
import { cellsSection } from './cells.ts';
import { countsSection } from './counts.ts';
import { CSS } from './css.ts';
import { brokenSection, matrixSection, verdictSection } from './overview.ts';
import { iconSheet, pageOf } from './parts.ts';
import { pictureSections } from './pictures.ts';
import { SCRIPT } from './script.ts';

/** Where the page's parts are, for the bar at its top. */
const PARTS: readonly (readonly [id: string, title: string])[] = [
  ['matrix', 'Fate'],
  ['broken', 'Broken claims'],
  ['counts', 'Counts'],
  ['cost', 'Cost'],
  ['exits', 'Exits'],
  ['timing', 'Times'],
  ['cells', 'Cells'],
  ['series', 'Series'],
  ['thread', 'Thread'],
  ['reading', 'How to read'],
  ['provenance', 'Provenance'],
];

/** Renders the report. */
export async function renderHtml(c: Comparison, options: ReportOptions = {}): Promise<string> {
  const page = pageOf(c);
  const body = join(
    [
      matrixSection(page),
      brokenSection(page),
      countsSection(page),
      await pictureSections(page),
      cellsSection(page),
      seriesSection(page),
      threadSection(options.thread),
      readingSection(),
      provenanceSection(page, options),
    ],
    '\n',
  );
  const parts = PARTS.filter(([id]) => body.text.includes(`<section id="${id}">`));
  return `${
    html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${await policy()}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="generator" content="faultline ${c.version}">
<title>${title(c)}</title>
<style>${new Markup(CSS)}</style></head>
<body>${iconSheet()}
<header><h1>Read-only guest memory, compared</h1>
<p class="dim">${plural(c.scenarios.length, 'scenario')} × ${plural(c.strategies.length, 'strategy', 'strategies')} · paging ${c.paging} · seed ${c.seed} · faultline ${c.version}</p></header>
${verdictSection(page)}
<nav class="bar" aria-label="Parts of the report">${join(parts.map(([id, name]) => html`<a href="#${id}">${name}</a>`))}
<span class="tools"><input id="filter" type="search" placeholder="filter by name ( / )" aria-label="Filter by scenario and strategy names"><button type="button" id="open">Open all</button><button type="button" id="theme">Light / dark</button></span></nav>
<main>${body}</main>
<script>${new Markup(SCRIPT)}</script>
</body></html>
`.text
  }`;
}

const title = (c: Comparison): string =>
  c.scenarios.length === 1
    ? `${c.scenarios[0]?.name ?? ''}: read-only guest memory`
    : 'Read-only guest memory, compared';

async function policy(): Promise<string> {
  const [style, script] = await Promise.all([sha256(CSS), sha256(SCRIPT)]);
  return `default-src 'none'; style-src '${style}'; script-src '${script}'; base-uri 'none'; form-action 'none'`;
}

/** A hash as a content security policy writes it. */
async function sha256(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return `sha256-${btoa(String.fromCharCode(...digest))}`;
}
