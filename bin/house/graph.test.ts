/**
 * The graph of imports: no circle, of types either, and nothing exported that nobody asks for. An export is used when
 * another file names it; tests and their helpers count, for what only a test asks about is asked for. A type is also
 * used when an export beside it is spelled with it. What a package entry passes on is for users, whom one cannot see.
 */
import { describe, expect, test } from 'vitest';
import {
  CODE,
  exportsOf,
  importsOf,
  isNode,
  type Node,
  namesUsed,
  SOURCES,
  type Source,
  unlessExempt,
  used,
  walk,
} from './sources.ts';

/** Exemptions: `rule path` to the reason why. */
const EXEMPT: Readonly<Record<string, string>> = {
  'unused bin/modules/resolve-self.ts': "resolve() is a module hook: Node's loader asks for it by that name",
};

/** What users of the package may import from, by package.json and the module hook. */
const ENTRIES = ['engine/index.ts', 'scenarios/index.ts', 'strategies/index.ts'];

/** Numbers of hardware, listed as its manual does, used or not. */
const LISTED_WHOLE = ['engine/core/x86/regs.ts', 'engine/vmm/devices/cfi.ts'];

const byPath = new Map(SOURCES.map((s) => [s.path, s]));

/** Circles among files: each group that lies on one, once. */
function circles(files: ReadonlyMap<string, readonly string[]>): string[][] {
  const reaches = (from: string): Set<string> => {
    const seen = new Set<string>();
    const next = [...(files.get(from) ?? [])];
    for (let path = next.pop(); path !== undefined; path = next.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      next.push(...(files.get(path) ?? []));
    }
    return seen;
  };
  const reach = new Map([...files.keys()].map((path) => [path, reaches(path)]));
  const groups = [...files.keys()]
    .filter((path) => reach.get(path)?.has(path))
    .map((path) => [...files.keys()].filter((p) => reach.get(path)?.has(p) && reach.get(p)?.has(path)));
  return [...new Map(groups.map((g) => [g.join(), g])).values()];
}

describe('circles', () => {
  test('are found, of any length, and only where there are some', () => {
    const graph = { a: ['b'], b: ['c'], c: ['b', 'd'], d: ['d'], e: ['a'] };
    expect(circles(new Map(Object.entries(graph)))).toEqual([['b', 'c'], ['d']]);
  });

  test('no file imports itself by way of others, types included', () => {
    const graph = new Map(CODE.map((s) => [s.path, importsOf(s).map(({ from }) => from)]));
    expect(circles(graph)).toEqual([]);
  });
});

/** Names of exports that another file asks for, as `path name`. */
function askedFor(): Set<string> {
  const asked = new Set<string>();
  const all = (path: string): readonly string[] => {
    const source = byPath.get(path);
    return source === undefined ? [] : exportsOf(source).map((e) => e.name);
  };
  for (const source of SOURCES) {
    for (const { from, names } of namesUsed(source)) {
      // Of a module taken as a whole, what the text of the file names; an entry passes on the lot.
      const whole = names === 'all' ? all(from) : names;
      for (const name of whole) {
        if (names !== 'all' || ENTRIES.includes(source.path) || mentions(source, name))
          asked.add(`${from} ${name}`);
      }
    }
  }
  return asked;
}

const identifiers = new Map<string, ReadonlySet<string>>();
/** Does the file have an identifier or a property of this name? */
function mentions(source: Source, name: string): boolean {
  let known = identifiers.get(source.path);
  if (known === undefined) {
    known = namesIn(source.ast);
    identifiers.set(source.path, known);
  }
  return known.has(name);
}

const namesIn = (node: Node): ReadonlySet<string> =>
  new Set([...walk(node)].filter((n) => n.type === 'Identifier').map((n) => String(n.name)));

/** Types that another export of the file is spelled with. */
function spelledWith(source: Source): ReadonlySet<string> {
  const exported = exportsOf(source);
  return new Set(
    exported.flatMap(({ name, declaration }) =>
      isNode(declaration) ? [...namesIn(declaration)].filter((other) => other !== name) : [],
    ),
  );
}

test('nothing is exported that nobody asks for', () => {
  const asked = askedFor();
  const unused = CODE.filter((s) => ![...ENTRIES, ...LISTED_WHOLE].includes(s.path)).flatMap((source) => {
    const spelled = spelledWith(source);
    return exportsOf(source)
      .filter(({ name, type }) => !(asked.has(`${source.path} ${name}`) || (type && spelled.has(name))))
      .map(({ name }) => ({ path: source.path, says: `exports ${name}` }));
  });
  expect(unlessExempt(EXEMPT, 'unused', unused)).toEqual([]);
});

test.each(Object.entries(EXEMPT))('exempt: %s: %s', (key, reason) => {
  expect(used.has(key), 'nothing needs this exemption any more').toBe(true);
  expect(reason.length).toBeGreaterThan(20);
});
