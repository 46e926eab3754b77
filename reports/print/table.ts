/**
 * Text tables for a terminal or a mail: columns aligned by what a character really takes up, heads over two
 * lines, and columns that do not fit side by side go into a second block under the first, whole groups at a time.
 */
import stringWidth from 'string-width';
import { visible } from './escape.ts';

/** A column: a head (a space is where it may break in two), cells, and how it is set. */
export interface Column {
  readonly head: string;
  readonly cells: readonly string[];
  readonly align?: 'left' | 'right';
  /** Columns of one group stay together; the name stands above them. */
  readonly group?: string;
  /** At least so wide. */
  readonly min?: number;
  /** Paints a padded cell; given the row. Never changes its width. */
  readonly paint?: (cell: string, row: number) => string;
}

/** Cuts text to a width; the cut shows. */
export function clip(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let out = '';
  for (const c of text) {
    if (stringWidth(out + c) > width - 1) break;
    out += c;
  }
  return `${out}…`;
}

/** Pads text to a width. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const room = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return align === 'right' ? room + text : text + room;
}

/** Breaks text into lines of at most `width`; the first is not indented, the others are. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of visible(text)
    .split(' ')
    .flatMap((w) => pieces(w, width - indent.length))) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (stringWidth(longer) > width && line.trim() !== '') {
      lines.push(line);
      line = indent + word;
    } else line = longer;
  }
  return [...lines, line];
}

/** A word in pieces that fit: a name of a thousand letters must not burst the page. */
function pieces(word: string, width: number): string[] {
  if (width < 1 || stringWidth(word) <= width) return [word];
  const out = [''];
  for (const c of word) {
    const last = out.at(-1) ?? '';
    if (stringWidth(last + c) > width) out.push(c);
    else out[out.length - 1] = last + c;
  }
  return out;
}

/** Head lines of a column: one, or two if it has a space in it. */
function headLines(head: string): readonly [string, string] {
  const space = head.indexOf(' ');
  return space < 0 ? ['', head] : [head.slice(0, space), head.slice(space + 1)];
}

const columnWidth = (c: Column): number =>
  Math.max(
    c.min ?? 0,
    ...headLines(c.head).map((h) => stringWidth(h)),
    ...c.cells.map((x) => stringWidth(x)),
  );

/** Sets a table. The first column is repeated in every block; groups are never torn apart unless they must be. */
export function textTable(
  columns: readonly Column[],
  width: number,
  dim = (s: string): string => s,
): string[] {
  const [first, ...rest] = columns.map((c) => ({ ...c, head: visible(c.head), cells: c.cells.map(visible) }));
  if (first === undefined) return [];
  const label = { ...first, cells: first.cells.map((x) => clip(x, Math.max(12, Math.floor(width / 3)))) };
  return blocks(groups(rest).flatMap(roomForName), width - columnWidth(label)).flatMap((block, i) => [
    ...(i > 0 ? [''] : []),
    ...setBlock([label, ...block], dim),
  ]);
}

/** Splits columns into blocks that fit, at the borders of groups where possible. */
function blocks(columns: readonly Column[], room: number): Column[][] {
  const out: Column[][] = [];
  let block: Column[] = [];
  let used = 0;
  const flush = (): void => {
    if (block.length > 0) out.push(block);
    block = [];
    used = 0;
  };
  for (const group of groups(columns)) {
    // Columns of a group stand one space apart, groups two.
    if (used + group.reduce((n, c) => n + columnWidth(c) + 1, 1) > room) flush();
    group.forEach((column, i) => {
      const gap = (): number => (i === 0 || block.length === 0 ? 2 : 1);
      if (used + columnWidth(column) + gap() > room) flush();
      used += columnWidth(column) + gap();
      block.push(column);
    });
  }
  return block.length > 0 ? [...out, block] : out;
}

function groups(columns: readonly Column[]): Column[][] {
  const out: Column[][] = [];
  for (const c of columns) {
    const last = out.at(-1);
    if (last !== undefined && c.group !== undefined && last[0]?.group === c.group) last.push(c);
    else out.push([c]);
  }
  return out;
}

/** A group's columns together are at least as wide as its name above them. */
function roomForName(group: readonly Column[]): Column[] {
  const [first, ...others] = group;
  if (first === undefined) return [];
  const taken = others.reduce((n, c) => n + columnWidth(c) + 1, 0);
  return [{ ...first, min: Math.max(columnWidth(first), stringWidth(first.group ?? '') - taken) }, ...others];
}

/** One block: group names, two lines of heads, a rule, the rows. */
function setBlock(columns: readonly Column[], dim: (s: string) => string): string[] {
  const sized = columns.map((c, i) => ({
    ...c,
    width: columnWidth(c),
    gap: i === 0 ? '' : c.group !== columns[i - 1]?.group || c.group === undefined ? '  ' : ' ',
  }));
  const line = (cell: (c: (typeof sized)[number], i: number) => string): string =>
    sized
      .map((c, i) => c.gap + cell(c, i))
      .join('')
      .trimEnd();
  const heads = [0, 1].map((k) => line((c) => pad(headLines(c.head)[k as 0 | 1], c.width, c.align)));
  const rows = (columns[0]?.cells ?? []).map((_, row) =>
    line((c) => {
      const cell = pad(c.cells[row] ?? '', c.width, c.align);
      return c.paint ? c.paint(cell, row) : cell;
    }),
  );
  const rule = dim('─'.repeat(sized.reduce((n, c) => n + c.width + c.gap.length, 0)));
  return [...groupLine(sized), ...heads.filter((h) => h !== ''), rule, ...rows];
}

function groupLine(sized: readonly (Column & { width: number; gap: string })[]): string[] {
  let text = '';
  let at = 0;
  let previous: string | undefined;
  for (const c of sized) {
    at += c.gap.length;
    if (c.group !== undefined && c.group !== previous && stringWidth(text) < at)
      text = pad(text, at) + c.group;
    previous = c.group;
    at += c.width;
  }
  return text.trim() === '' ? [] : [text];
}
