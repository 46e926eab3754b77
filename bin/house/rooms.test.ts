/** Who may import whom, how full a room may be, and what no room may do. Every exemption has a reason. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  CODE,
  covers,
  grouped,
  importsOf,
  isNode,
  lineOf,
  type Node,
  ROOT,
  read,
  SOURCES,
  unlessExempt,
  used,
  walk,
} from './sources.ts';

/** Exemptions: `rule path` to the reason why. */
const EXEMPT: Readonly<Record<string, string>> = {
  'import scenarios/data/recordings.ts':
    'reads the recordings that come with the program: the one place in its room that does',
  'import reports/testing.ts':
    'makes the Comparison that the tests go by with the real engine; nothing but tests imports it',
  'pure scenarios/run/runner.ts':
    'lets the event loop go round between two runs, so that Ctrl-C is heard; measures nothing',
};

/** A room: what its files may import, by path prefix or package, and what only as types. */
interface Room {
  readonly path: string;
  readonly may: readonly string[];
  readonly typesOnly?: readonly string[];
  /** Who may import it, where that is not everybody who may import what is around it. */
  readonly only?: readonly string[];
  /** No clock, randomness, console, process or `node:` of its own. */
  readonly pure: boolean;
}

/** The files of `engine/` itself: words and the seam, which every room may use. */
const WORDS = readdirSync(join(ROOT, 'engine'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `engine/${name}`);

// The most specific room comes first. A folder that is not named is part of the one above it.
const ROOMS: readonly Room[] = [
  {
    path: 'engine/core/batch/',
    may: ['engine/'],
    pure: true,
    only: ['bin/bench/', 'bin/gate/', 'bin/commands/speed/gate.ts'],
  },
  { path: 'engine/core/host/', may: [...WORDS, 'engine/core/vm.ts', 'engine/core/host/'], pure: true },
  { path: 'engine/core/x86/', may: [...WORDS, 'engine/core/x86/', 'iced-x86'], pure: true },
  {
    path: 'engine/core/kvm/',
    may: [...WORDS, 'engine/core/vm.ts', 'engine/core/host/', 'engine/core/x86/', 'engine/core/kvm/'],
    pure: true,
  },
  { path: 'engine/core/', may: [...WORDS, 'engine/core/'], pure: true },
  // Real kernels: processes, pipes and files are what it is about. Loaded only when asked for.
  {
    path: 'engine/kernel/',
    may: [...WORDS, 'engine/kernel/', 'node:', 'iced-x86', 'd3-array'],
    pure: false,
  },
  { path: 'engine/vmm/', may: [...WORDS, 'engine/vmm/', 'iced-x86'], pure: true },
  { path: 'engine/contract/', may: [...WORDS, 'engine/contract/'], pure: true },
  { path: 'engine/profiles/', may: [...WORDS], pure: true },
  { path: 'engine/', may: [...WORDS, 'engine/profiles/'], pure: true },
  { path: 'strategies/', may: ['strategies/', ...WORDS], typesOnly: ['engine/vmm/'], pure: true },
  {
    path: 'scenarios/traces/',
    may: ['scenarios/traces/', 'scenarios/language/', ...WORDS, 'engine/vmm/'],
    typesOnly: ['strategies/'],
    pure: true,
  },
  {
    path: 'scenarios/',
    may: ['scenarios/', ...WORDS, 'engine/vmm/', 'iced-x86', 'zod', 'ml-fcnnls', 'd3-array'],
    typesOnly: ['strategies/'],
    pure: true,
  },
  {
    path: 'reports/traces/',
    may: ['reports/traces/', 'reports/print/', ...WORDS],
    typesOnly: ['scenarios/traces/'],
    pure: true,
  },
  {
    path: 'reports/',
    may: [
      'reports/',
      ...WORDS,
      'scenarios/run/comparison.ts',
      'vega',
      'vega-lite',
      'csv-stringify/sync',
      'd3-array',
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
    expect(unlessExempt(EXEMPT, 'import', wrong)).toEqual([]);
  });

  test('a room with a door is entered by those it is for', () => {
    const doors = ROOMS.filter((room) => room.only !== undefined);
    expect(doors.length).toBeGreaterThan(0);
    const wrong = doors.flatMap(({ path, only = [] }) => {
      const others = CODE.filter((s) => ![path, ...only].some((p) => s.path.startsWith(p)));
      return others.flatMap((s) =>
        importsOf(s)
          .filter(({ from }) => from.startsWith(path))
          .map(({ from }) => ({ path: s.path, says: `imports ${from}` })),
      );
    });
    expect(unlessExempt(EXEMPT, 'door', wrong)).toEqual([]);
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
    expect(unlessExempt(EXEMPT, 'pure', wrong)).toEqual([]);
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

describe('what one sees', () => {
  const FOLDER_FILES = 16;

  test(`no folder holds more than ${FOLDER_FILES} files`, () => {
    const folders = grouped(CODE, (s) => dirname(s.path));
    const full = [...folders]
      .filter(([, files]) => files.length > FOLDER_FILES)
      .map(([path, files]) => ({ path, says: `${files.length} files` }));
    expect(unlessExempt(EXEMPT, 'full', full)).toEqual([]);
  });

  test('a name of a file means one thing', () => {
    const named = grouped(
      // A command's file is named like the command, as what it runs may be.
      CODE.filter((s) => !/\/(index|testing)\.ts$|^bin\/commands\//.test(s.path)),
      (s) => basename(s.path),
    );
    const twice = [...named]
      .filter(([, files]) => files.length > 1)
      .map(([path, files]) => ({ path, says: files.join(', ') }));
    expect(unlessExempt(EXEMPT, 'name', twice)).toEqual([]);
  });
});

test.each(Object.entries(EXEMPT))('exempt: %s: %s', (key, reason) => {
  expect(used.has(key), 'nothing needs this exemption any more').toBe(true);
  expect(reason.length).toBeGreaterThan(20);
});
