/** What users' modules do to the program that runs them: nothing, but for one line and exit code 2. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtProgram, type Ended, execute } from '../house/built.ts';
import { runCli } from '../testing.ts';

let program: string;
let folder: string;
beforeAll(async () => {
  program = await builtProgram();
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const compare = (...args: string[]): Promise<Ended> =>
  execute(process.execPath, [program, ...args, '--no-timing'], { cwd: folder });

/** A strategy whose one patch has this body. */
const strategy = (apply: string, before = ''): string => `${before}
export default { name: 'mine', cover: 'c.', source: 'me', series: [{ name: 'p', subject: 's', source: 'me', apply: ${apply} }],
  layout: { backing: 'shm', shared: true, prot: 1, slotFlags: 0 } };`;

/** A scenario that needs nothing, with these keys as well. */
const scenario = (
  keys: string,
): string => `export default { name: 'mine', asks: 'q?', operation: 'store', source: 'me', memory: { bios: { kind: 'rom', at: 0xf0000, bytes: 0x1000 } },
  operations: () => 1, guest(g) { g.done(); g.halt(); }, ${keys} };`;

const HANG = '() => { for (;;); }';

describe('a module that does not come back', () => {
  test.each([
    ['its top level', strategy('() => ({})', 'for (;;);')],
    ['apply()', strategy(HANG)],
    ['a decision', strategy(`() => ({ handleBadPage: ${HANG} })`)],
  ])('%s', async (_, text) => {
    await writeFile(join(folder, 'hang.mjs'), text);
    const { code, out, err } = await compare('--strategy', './hang.mjs', '--timeout', '2');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toBe('compare: loading --strategy ./hang.mjs took more than 2 s\n');
  });

  test('a promise that nothing resolves is found at once', async () => {
    await writeFile(join(folder, 'await.mjs'), strategy('() => ({})', 'await new Promise(() => {});'));
    const { code, err } = await compare('--strategy', './await.mjs', '--timeout', '600');
    expect(code).toBe(2);
    expect(err).toMatch(
      /^compare: loading --strategy \.\/await\.mjs never ends: it waits for a promise.*\n$/,
    );
  });

  test('in one run: that run is timed out, and the others are kept', async () => {
    await writeFile(
      join(folder, 'once.mjs'),
      scenario("before(vmm) { if (vmm.plan.name === 'coexist') for (;;); }"),
    );
    const names = ['private-cow', 'coexist', 'no-slot-mmio'];
    const { code, out, err } = await compare(
      ...['--scenario', './once.mjs', '--strategy', ...names, '--timeout', '3', '--format', 'json'],
    );
    expect(code).toBe(2);
    const { runs }: { runs: { strategy: string; fate: string }[] } = JSON.parse(out);
    expect(runs.map((r) => [r.strategy, r.fate])).toEqual([
      ['private-cow', 'ok'],
      ['coexist', 'timed-out'],
      ['no-slot-mmio', 'ok'],
    ]);
    expect(err).toBe('compare: mine under coexist: timed out: it was ended after 3 s (--timeout)\n');
  });
});

describe('a module that takes all memory', () => {
  test.each([
    ['of the language', 'const a = []; for (;;) a.push(new Array(1e5).fill(a.length));'],
    ['of arrays beside it', 'const a = []; for (;;) a.push(new Uint8Array(1e6).fill(1));'],
    ['in one string', "let s = 'x'; const a = []; for (;;) a.push((s += s.slice(0, 2 ** 20)).split(''));"],
  ])('%s', async (_, body) => {
    await writeFile(join(folder, 'oom.mjs'), scenario(`before() { ${body} }`));
    const { code, out, err } = await compare(
      ...[
        '--scenario',
        './oom.mjs',
        '--strategy',
        'coexist',
        '--memory',
        '200',
        '--timeout',
        '600',
        '--format',
        'json',
      ],
    );
    expect(JSON.parse(out).runs.map((r: { fate: string }) => r.fate)).toEqual(['out-of-memory']);
    expect(err).toMatch(
      /^compare: mine under coexist: out of memory: it was ended for taking more than 200 MiB.*\n$/,
    );
    expect(code).toBe(2);
  });
});

describe('a module that ends, breaks or fakes', () => {
  test.each([
    ['the process', strategy('() => process.exit(0)'), /ended the process \(exit code 0\)/],
    [
      'the process, by a signal',
      strategy("() => process.kill(process.pid, 'SIGTRAP')"),
      /ended the process \(SIGTRAP\)/,
    ],
    [
      'a rejection',
      strategy('() => ({})', "Promise.reject(new Error('late'));"),
      /failed later on: Error: late/,
    ],
    [
      'a timer',
      strategy('() => ({})', "setTimeout(() => { throw new Error('tick'); });"),
      /failed later on: Error: tick/,
    ],
    [
      'what is built in',
      strategy('() => ({})', 'Array.prototype.map = () => [];'),
      /changes Array\.prototype\.map/,
    ],
    [
      'what is built in, with more',
      strategy('() => ({})', 'Object.prototype.evil = 1;'),
      /changes Object\.prototype\.evil/,
    ],
  ])('%s', async (_, text, says) => {
    await writeFile(join(folder, 'bad.mjs'), text);
    const ended = await compare('--strategy', './bad.mjs', '--scenario', 'rom-write');
    expect(ended).toMatchObject({ code: 2, out: '' });
    expect(ended.err).toMatch(/^compare: .*--strategy \.\/bad\.mjs.*\n$/);
    expect(ended.err).toMatch(says);
  });

  test.each([
    ['an async before()', "async before() { throw new Error('late'); }", /before\(\) returns a promise/],
    [
      'an observe() that throws',
      "observe() { throw new TypeError('odd'); }",
      /failed when it was run, at mine under coexist: TypeError: odd/,
    ],
  ])('%s', async (_, keys, says) => {
    await writeFile(join(folder, 'bad.mjs'), scenario(keys));
    const ended = await compare('--scenario', './bad.mjs', '--strategy', 'coexist');
    expect(ended).toMatchObject({ code: 2, out: '' });
    expect(ended.err).toMatch(/^compare: --scenario \.\/bad\.mjs: .*\n$/);
    expect(ended.err).toMatch(says);
  });
});

describe('a module that is wrong, but harmless enough to be loaded by a test', () => {
  let number = 0;
  const refusal = async (option: string, text: string, ...other: string[]): Promise<string> => {
    // A path is loaded once in a process.
    const path = `./wrong${number++}.mjs`;
    await writeFile(join(folder, path), text);
    const { code, out, err } = await runCli([option, path, ...other], { cwd: folder });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err.startsWith(`compare: ${option} ${path}: `), err).toBe(true);
    expect(err.trimEnd()).not.toContain('\n');
    return err;
  };

  test.each([
    [
      'a getter',
      strategy("() => ({ get gfnToHva() { throw new Error('getter'); } })"),
      /apply\(\) threw: getter/,
    ],
    [
      'a proxy',
      strategy("() => new Proxy({}, { ownKeys() { throw new Error('own'); } })"),
      /apply\(\) threw: own/,
    ],
    ['words', strategy('() => { throw { toString() { throw 1; } }; }'), /apply\(\) threw: something/],
    ['a promise', strategy('async () => ({})'), /apply\(\) returns a promise/],
    ['impurely', strategy('() => ({ gfnToHva: () => n++ % 2 })', 'let n = 0;'), /answers . and then ./],
    [
      'impurely, by apply',
      strategy('() => n++ > 1 ? ({ gfnToHva: () => 1 }) : {}', 'let n = 0;'),
      /answers . and then ./,
    ],
    ['a name', strategy('() => ({})').replace("'mine'", "'coexist'"), /a strategy called 'coexist' already/],
    [
      'the name of a patch',
      strategy('() => ({})').replace("'p'", "'gup-reasons'"),
      /a patch called 'gup-reasons' already/,
    ],
  ])('strategy: %s', async (_, text, says) => {
    expect(await refusal('--strategy', text, '--scenario', 'rom-write')).toMatch(says);
  });

  test.each([
    [
      'claims() with other keys',
      "claims: () => ({ coexist: { fate: 'ok', source: 's', exists: {} } })",
      /coexist\.exists \(did you mean exits\?\)/,
    ],
    [
      'claims() about nobody',
      "claims: () => ({ coexits: { fate: 'ok', source: 's' } })",
      /'coexits'. Did you mean coexist\?/,
    ],
    [
      'claims() with another fate',
      "claims: () => ({ coexist: { fate: 'oK', source: 's' } })",
      /claims\(\): coexist\.fate: /,
    ],
    [
      'expect() with other registers',
      'expect: () => ({ exa: 1 })',
      /expect\(\): no such key: exa \(did you mean eax\?\)/,
    ],
    ['operations() of NaN', 'operations: () => NaN', /operations\(\) answers NaN/],
    ['operations() of 2^40', 'operations: () => 2 ** 40', /operations\(\) answers 1099511627776/],
    [
      'a default outside its bounds',
      "params: { n: { kind: 'int', default: 9, min: 1, max: 8, help: 'h' } }",
      /params\.n\.default: /,
    ],
    [
      'too much memory',
      "memory: { bios: { kind: 'rom', at: 0x10000000, bytes: 0xe0000000 } }",
      /the limit is 256 MiB/,
    ],
    ['an async guest()', 'async guest(g) { g.halt(); }', /guest\(\) returns a promise/],
    [
      'other keys',
      'exepct: () => ({}), claim: 1',
      /no such keys: exepct \(did you mean expect\?\), claim \(did you mean claims\?\)/,
    ],
  ])('scenario: %s', async (_, keys, says) => {
    expect(await refusal('--scenario', scenario(keys), '--strategy', 'coexist')).toMatch(says);
  });
});

test('what a module prints goes to standard error, marked and harmless', async () => {
  const noise = "console.log('::error::x\\u001b[31m'); console.error('careful');";
  await writeFile(join(folder, 'loud.mjs'), strategy('() => ({})', noise));
  const args = ['--strategy', './loud.mjs', '--scenario', 'rom-write', '--format', 'json', '--jobs', '1'];
  const { code, out, err } = await compare(...args);
  expect(code).toBe(0);
  expect(JSON.parse(out).runs).toHaveLength(1);
  expect(err.split('\n').sort()).toEqual(['', '| \\u{3a}:error::x\\u{1b}[31m', '| careful'].sort());
});

test('any number of jobs gives the same bytes', async () => {
  const few = ['rom-write', 'rom-read-cold', 'migrate', 'romd-probe'];
  const args = ['--scenario', ...few, '--format', 'json'];
  const one = await compare(...args, '--jobs', '1');
  expect(one).toMatchObject({ code: 0, err: '' });
  expect(await compare(...args, '--jobs', '3')).toEqual(one);
});
