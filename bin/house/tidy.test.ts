/**
 * The style guide as a test: how long files and functions may be, what is documented, and what must not be there at
 * all (rooms.test.ts has who may import whom). Every exemption has a reason, and an exemption that nothing needs fails too.
 */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  CODE,
  filesUnder,
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

const FILE_LINES = 300;
const FUNCTION_LINES = 70;

/** Exemptions: `rule path` to the reason why. */
const EXEMPT: Readonly<Record<string, string>> = {
  'function engine/core/x86/cpu/hot-loop.ts':
    'one switch over locals: a call an instruction is what it is there to avoid',
};
/** Handlers in these files are named like the instruction they are, and their file says what it holds. */
const NAMED_LIKE_THEIR_INSTRUCTION = /^engine\/core\/x86\/exec\/[a-z0-9]+\/exec-/;

describe('size', () => {
  test(`no file has more than ${FILE_LINES} lines`, () => {
    const long = SOURCES.map((s) => ({ path: s.path, lines: s.text.trimEnd().split('\n').length }))
      .filter((s) => s.lines > FILE_LINES)
      .map((s) => ({ path: s.path, says: `${s.lines} lines` }));
    expect(unlessExempt(EXEMPT, 'length', long)).toEqual([]);
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
    expect(unlessExempt(EXEMPT, 'function', long)).toEqual([]);
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
    expect(unlessExempt(EXEMPT, 'docstring', silent)).toEqual([]);
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
    expect(unlessExempt(EXEMPT, 'undone', left)).toEqual([]);
  });

  test('no file names a machine, a home or a package host', () => {
    const secret = [`/${'work'}/`, `/${'home'}/`, `registry.${'npmjs'}`, `_auth${'Token'}`];
    const texts = ['docs', '.ci'].flatMap(filesUnder).filter((p) => !/\.(png|gz)$/.test(p));
    const top = readdirSync(ROOT).filter((p) => /\.(md|json|ts)$/.test(p));
    const named = [...SOURCES.map((s) => s.path), ...texts, ...top].flatMap((path) =>
      secret.filter((s) => read(path).includes(s)).map((s) => ({ path, says: `names ${s}` })),
    );
    expect(unlessExempt(EXEMPT, 'host', named)).toEqual([]);
    expect(read('package-lock.json')).not.toContain('"resolved"');
  });

  test.each(Object.entries(EXEMPT))('exempt: %s: %s', (key, reason) => {
    expect(used.has(key), 'nothing needs this exemption any more').toBe(true);
    expect(reason.length).toBeGreaterThan(20);
  });
});
