/**
 * The style guide as a test: who may import whom, how long files and functions may be, what is documented, and what
 * must not be there at all. Every exemption has a reason, and an exemption that nothing needs fails too.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseAst } from 'vitest/node';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILE_LINES = 300;
const FUNCTION_LINES = 70;

/** Exemptions: `rule path` to the reason why. */
const EXEMPT: Readonly<Record<string, string>> = {
  'import scenarios/data.ts':
    'reads the recordings that come with the program: the one place in its room that does',
  'function engine/core/x86/hot-loop.ts':
    'one switch over locals: a call an instruction is what it is there to avoid',
  'pure scenarios/runner.ts':
    'lets the event loop go round between two runs, so that Ctrl-C is heard; measures nothing',
};
/** Handlers in these files are named like the instruction they are, and their file says what it holds. */
const NAMED_LIKE_THEIR_INSTRUCTION = /^engine\/core\/x86\/exec-/;

/** A room: what its files may import, by path prefix or package, and what only as types. */
interface Room {
  readonly path: string;
  readonly may: readonly string[];
  readonly typesOnly?: readonly string[];
  /** No clock, randomness, console, process or `node:` of its own. */
  readonly pure: boolean;
}

// The most specific room comes first.
const ROOMS: readonly Room[] = [
  { path: 'engine/core/bench/', may: ['engine/', 'node:'], pure: false },
  { path: 'engine/core/', may: ['engine/', 'iced-x86'], pure: true },
  { path: 'engine/', may: ['engine/'], pure: true },
  { path: 'strategies/', may: ['strategies/', 'engine/'], pure: true },
  {
    path: 'scenarios/',
    may: ['scenarios/', 'engine/', 'iced-x86', 'zod', 'ml-fcnnls'],
    typesOnly: ['strategies/'],
    pure: true,
  },
  {
    path: 'reports/',
    may: [
      'reports/',
      'engine/',
      'scenarios/comparison.ts',
      'vega',
      'vega-lite',
      'csv-stringify/sync',
      'string-width',
      'picocolors',
    ],
    typesOnly: ['scenarios/', 'vega-embed'],
    pure: true,
  },
  {
    path: 'bin/',
    may: ['bin/', 'engine/', 'strategies/', 'scenarios/', 'reports/', 'node:', ...binPackages()],
    pure: false,
  },
];

function binPackages(): readonly string[] {
  return Object.keys(JSON.parse(read('package.json')).dependencies);
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

interface Import {
  readonly from: string;
  readonly typesOnly: boolean;
}

interface Source {
  readonly path: string;
  readonly text: string;
  readonly ast: Node;
  readonly test: boolean;
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function filesUnder(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesUnder(path);
    return entry.isFile() ? [path] : [];
  });
}

const SOURCES: readonly Source[] = ['engine', 'strategies', 'scenarios', 'reports', 'bin']
  .flatMap(filesUnder)
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = read(path);
    const ast = parseAst(text, { lang: 'ts' }, path) as unknown as Node;
    return { path, text, ast, test: /\.(test|bench)\.ts$/.test(path) };
  });
const CODE = SOURCES.filter((s) => !s.test);

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value;

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* walk(child);
  }
}

const literal = (node: unknown): string | undefined =>
  isNode(node) && typeof node.value === 'string' ? node.value : undefined;

function importsOf(source: Source): readonly Import[] {
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

/** `scenarios/` covers everything under it, `vega` the package and no other that begins so. */
const covers = (allowed: string, from: string): boolean =>
  /[/:]$/.test(allowed) ? from.startsWith(allowed) : from === allowed || from.startsWith(`${allowed}/`);

const lineOf = (source: Source, offset: number): number => source.text.slice(0, offset).split('\n').length;

const used = new Set<string>();
/** Drops what is exempt and remembers that the exemption was needed. */
function unlessExempt(
  rule: string,
  findings: readonly { readonly path: string; readonly says: string }[],
): string[] {
  return findings
    .filter(({ path }) => {
      const key = `${rule} ${path}`;
      if (EXEMPT[key] !== undefined) used.add(key);
      return EXEMPT[key] === undefined;
    })
    .map(({ path, says }) => `${path}: ${says}`);
}

describe('the rooms', () => {
  test('there is something to look at in every room that has files', () => {
    expect(SOURCES.length).toBeGreaterThan(10);
    for (const source of SOURCES)
      expect(
        ROOMS.some((r) => source.path.startsWith(r.path)),
        source.path,
      ).toBe(true);
  });

  test('imports go one way', () => {
    const wrong = CODE.flatMap((source) => {
      const room = ROOMS.find((r) => source.path.startsWith(r.path));
      return importsOf(source)
        .filter(({ from, typesOnly }) => {
          const allowed = [...(room?.may ?? []), ...(typesOnly ? (room?.typesOnly ?? []) : [])];
          return !allowed.some((a) => covers(a, from));
        })
        .map(({ from, typesOnly }) => ({
          path: source.path,
          says: `imports ${typesOnly ? 'types of ' : ''}${from}`,
        }));
    });
    expect(unlessExempt('import', wrong)).toEqual([]);
  });

  test('no clock, randomness, console or process where results are made', () => {
    const forbidden = new Set([
      'console',
      'Date',
      'performance',
      'process',
      'setTimeout',
      'setInterval',
      'require',
    ]);
    const wrong = CODE.filter((s) => ROOMS.find((r) => s.path.startsWith(r.path))?.pure).flatMap((source) =>
      [...walk(source.ast)].flatMap((node) => {
        const name = usedName(node);
        if (name === undefined || !(forbidden.has(name) || name === 'Math.random')) return [];
        return [{ path: source.path, says: `line ${lineOf(source, node.start)} uses ${name}` }];
      }),
    );
    expect(unlessExempt('pure', wrong)).toEqual([]);
  });
});

/** The global that an expression uses: the callee, the constructor or the object of a member access. */
function usedName(node: Node): string | undefined {
  const name = (n: unknown): string | undefined =>
    isNode(n) && n.type === 'Identifier' ? String(n.name) : undefined;
  if (node.type === 'CallExpression' || node.type === 'NewExpression') return name(node.callee);
  if (node.type !== 'MemberExpression') return undefined;
  const object = name(node.object);
  return object === 'Math' && name(node.property) === 'random' ? 'Math.random' : object;
}

describe('size', () => {
  test(`no file has more than ${FILE_LINES} lines`, () => {
    const long = SOURCES.map((s) => ({ path: s.path, lines: s.text.trimEnd().split('\n').length }))
      .filter((s) => s.lines > FILE_LINES)
      .map((s) => ({ path: s.path, says: `${s.lines} lines` }));
    expect(unlessExempt('length', long)).toEqual([]);
  });

  test(`no function has more than ${FUNCTION_LINES} lines`, () => {
    const long = CODE.flatMap((source) =>
      [...walk(source.ast)]
        .filter((n) => /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(n.type))
        .map((n) => ({ from: lineOf(source, n.start), to: lineOf(source, n.end) }))
        .filter(({ from, to }) => to - from + 1 > FUNCTION_LINES)
        .map(({ from, to }) => ({
          path: source.path,
          says: `the function at line ${from} has ${to - from + 1} lines`,
        })),
    );
    expect(unlessExempt('function', long)).toEqual([]);
  });
});

describe('words', () => {
  test('every file says what it is, every exported declaration has a docstring', () => {
    const silent = CODE.flatMap((source) => {
      const findings: { path: string; says: string }[] = [];
      if (!/^(#!.*\n)?\/\*\*/.test(source.text)) findings.push({ path: source.path, says: 'has no header' });
      const body = source.ast.body as readonly Node[];
      // The header of a file that exports one thing is about that thing.
      if (body.filter((n) => n.type.startsWith('Export')).length === 1) return findings;
      let documented = false;
      body.forEach((node, i) => {
        const between = source.text.slice(body[i - 1]?.end ?? 0, node.start);
        // A run of declarations without a blank line between them shares the docstring of the first.
        documented = /\*\/\s*$/.test(between) || (documented && !/\n\s*\n/.test(between));
        if (node.type !== 'ExportNamedDeclaration' || !isNode(node.declaration) || documented) return;
        if (NAMED_LIKE_THEIR_INSTRUCTION.test(source.path)) return;
        findings.push({ path: source.path, says: `line ${lineOf(source, node.start)} has no docstring` });
      });
      return findings;
    });
    expect(unlessExempt('docstring', silent)).toEqual([]);
  });

  test('nothing is left undone, silenced or skipped', () => {
    // Spelled with a gap, so that this file does not find itself.
    const gaps = ['TO_DO', 'FIX_ME', 'XX_X', 'as a_ny', '@ts-ig_nore', '@ts-no_check'];
    const words = gaps.map((w) => w.replace('_', ''));
    const patterns = [...words.map((w) => `(^|[^\\w])${w}`), `(test|it|describe)\\.(sk${'ip'}|on${'ly'})\\(`];
    const left = SOURCES.flatMap((s) =>
      patterns
        .flatMap((p) => new RegExp(p).exec(s.text)?.[0].trim() ?? [])
        .map((w) => ({ path: s.path, says: `contains ${w}` })),
    );
    expect(unlessExempt('undone', left)).toEqual([]);
  });

  test('no file names a machine, a home or a package host', () => {
    const secret = [`/${'work'}/`, `/${'home'}/`, `registry.${'npmjs'}`, `_auth${'Token'}`];
    const texts = ['docs', '.ci'].flatMap(filesUnder).filter((p) => !/\.(png|gz)$/.test(p));
    const top = readdirSync(ROOT).filter((p) => /\.(md|json|ts)$/.test(p));
    const named = [...SOURCES.map((s) => s.path), ...texts, ...top].flatMap((path) =>
      secret.filter((s) => read(path).includes(s)).map((s) => ({ path, says: `names ${s}` })),
    );
    expect(unlessExempt('host', named)).toEqual([]);
    expect(read('package-lock.json')).not.toContain('"resolved"');
  });

  test.each(Object.entries(EXEMPT))('exempt: %s: %s', (key, reason) => {
    expect(used.has(key), 'nothing needs this exemption any more').toBe(true);
    expect(reason.length).toBeGreaterThan(20);
  });
});
