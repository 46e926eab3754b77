/** The sources of this program as syntax trees, for the tests that hold the style guide. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'vitest/node';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface Import {
  readonly from: string;
  readonly typesOnly: boolean;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly ast: Node;
  readonly test: boolean;
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

export function filesUnder(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesUnder(path);
    return entry.isFile() ? [path] : [];
  });
}

export const SOURCES: readonly Source[] = ['engine', 'strategies', 'scenarios', 'reports', 'bin']
  .flatMap(filesUnder)
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = read(path);
    const ast = parseAst(text, { lang: 'ts' }, path) as unknown as Node;
    return { path, text, ast, test: /\.(test|bench)\.ts$|^bin\/house\//.test(path) };
  });
export const CODE = SOURCES.filter((s) => !s.test);

export const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value;

export function* walk(node: Node): Generator<Node> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* walk(child);
  }
}

export const literal = (node: unknown): string | undefined =>
  isNode(node) && typeof node.value === 'string' ? node.value : undefined;

export function importsOf(source: Source): readonly Import[] {
  const found: Import[] = [];
  for (const node of walk(source.ast)) {
    const from = literal(node.source);
    if (from === undefined) continue;
    const typesOnly =
      node.importKind === 'type' || node.exportKind === 'type' || node.type === 'TSImportType';
    found.push({
      from: from.startsWith('.') ? normalize(join(dirname(source.path), from)) : from,
      typesOnly,
    });
  }
  return found;
}

/** Sources by what `key` says of them. */
export function grouped(sources: readonly Source[], key: (s: Source) => string): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const s of sources) groups.set(key(s), [...(groups.get(key(s)) ?? []), s.path]);
  return groups;
}

/** `scenarios/` covers everything under it, `vega` the package and no other that begins so. */
export const covers = (allowed: string, from: string): boolean =>
  /[/:]$/.test(allowed) ? from.startsWith(allowed) : from === allowed || from.startsWith(`${allowed}/`);

export const lineOf = (source: Source, offset: number): number =>
  source.text.slice(0, offset).split('\n').length;

export const used = new Set<string>();
/** Drops what is exempt and remembers that the exemption was needed. */
export function unlessExempt(
  exempt: Readonly<Record<string, string>>,
  rule: string,
  findings: readonly { readonly path: string; readonly says: string }[],
): string[] {
  return findings
    .filter(({ path }) => {
      const key = `${rule} ${path}`;
      if (exempt[key] !== undefined) used.add(key);
      return exempt[key] === undefined;
    })
    .map(({ path, says }) => `${path}: ${says}`);
}
