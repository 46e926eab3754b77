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

export interface Export {
  readonly name: string;
  /** An interface or a type, which is nothing at run time. */
  readonly type: boolean;
  readonly declaration: unknown;
}

const nameOf = (node: unknown): string => (isNode(node) ? String(node.name ?? node.value) : '');
const nodes = (list: unknown): readonly Node[] => (Array.isArray(list) ? list.filter(isNode) : []);

/** What a file declares and exports; what it only passes on is not its own. */
export function exportsOf(source: Source): readonly Export[] {
  return nodes(source.ast.body).flatMap((node): Export[] => {
    if (node.type === 'ExportDefaultDeclaration') {
      return [{ name: 'default', type: false, declaration: node.declaration }];
    }
    if (node.type !== 'ExportNamedDeclaration' || node.source) return [];
    const { declaration } = node;
    if (!isNode(declaration)) {
      return nodes(node.specifiers).map((s) => ({ name: nameOf(s.exported), type: false, declaration: s }));
    }
    const type = /^TS(Interface|TypeAlias)Declaration$/.test(declaration.type);
    const declared =
      declaration.type === 'VariableDeclaration' ? nodes(declaration.declarations) : [declaration];
    return declared.map((d) => ({ name: nameOf(d.id), type, declaration: d }));
  });
}

/** Names that a file takes from another; `all` of a module taken as a whole. */
export interface Taken {
  readonly from: string;
  readonly names: readonly string[] | 'all';
}

/** Names that a file takes from others, by import or to pass them on. */
export function namesUsed(source: Source): readonly Taken[] {
  return [...walk(source.ast)].flatMap((node): readonly Taken[] => {
    const from = literal(node.source);
    if (from === undefined || !from.startsWith('.')) return [];
    const path = normalize(join(dirname(source.path), from));
    const taken = nodes(node.specifiers);
    const whole = !/^(Import|ExportNamed)Declaration$/.test(node.type);
    if (whole || taken.some((s) => s.type === 'ImportNamespaceSpecifier'))
      return [{ from: path, names: 'all' }];
    const name = (s: Node): string =>
      s.type === 'ImportDefaultSpecifier' ? 'default' : nameOf(s.imported ?? s.local);
    return [{ from: path, names: taken.map(name) }];
  });
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
