/**
 * Words from outside made safe for where they are printed. Scenario names, guest data and the sentences of a
 * user's own strategy are somebody else's text: in a terminal, a page or an XML file they stay text.
 */

/** Control, format (bidi, zero-width) and separator characters, and halves of surrogate pairs. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * What a build machine would take for a command to itself: GitHub's `::error file=x::text` at the start of a line, and the
 * older `##[error]` and `##vso[…]` anywhere. A line may start anywhere once text is wrapped.
 */
const COMMAND = /:(?=:[a-z][a-z-]*(?: [^:]*)?::)|#(?=#(?:vso)?\[)/gi;

/** Shows what would otherwise act on the reader's screen or build machine, or hide: `\u{1b}` for an escape character. */
export function visible(text: string): string {
  const spelled = (c: string): string => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`;
  return text.replace(HIDDEN, spelled).replace(COMMAND, spelled);
}

/** Text whose Markdown and HTML marks are inert: no links, no mentions, nothing set in another way. */
export function markdownText(text: string): string {
  return visible(text)
    .replace(/[\\`*_[\]<>|#!~@]/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replace(/:(?=\/\/)|(?<=www)\./gi, '\\$&');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for HTML or XML, in an element or in a quoted attribute. */
export function escapeMarkup(text: string): string {
  return visible(text).replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);
}

/** Markup that is already safe: the only thing `html` does not escape. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in a hole of an `html` template. */
export type Hole = string | number | Markup | readonly Markup[] | false | undefined;

/** Template tag: every hole is escaped unless it is Markup; `false` and `undefined` print nothing. */
export function html(parts: TemplateStringsArray, ...holes: readonly Hole[]): Markup {
  let text = parts[0] ?? '';
  holes.forEach((hole, i) => {
    text += fill(hole) + (parts[i + 1] ?? '');
  });
  return new Markup(text);
}

function fill(hole: Hole): string {
  if (hole === false || hole === undefined) return '';
  if (hole instanceof Markup) return hole.text;
  if (typeof hole === 'object') return hole.map((m) => m.text).join('');
  return escapeMarkup(String(hole));
}

/** Joins pieces of markup with nothing, or with a separator, between them. */
export function join(pieces: readonly Markup[], separator = ''): Markup {
  return new Markup(pieces.map((p) => p.text).join(separator));
}
