/** Modules put together from what goes wrong in modules: never more than their own deadline, and one line. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { builtProgram, execute } from '../built.ts';
import { extent, MINUTES, patience, Tally } from './extent.ts';

const SHARE = 0.2;
let program: string;
let folder: string;
beforeAll(async () => {
  program = await builtProgram();
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const statement = fc.constantFrom(
  ...[
    '',
    '',
    '',
    'for (;;);',
    'throw 1;',
    "throw new Error('x');",
    'throw { toString() { throw 1; } };',
    'throw null;',
  ],
  ...['process.exit(0);', 'process.exit(1);', 'process.abort();', "process.kill(process.pid, 'SIGKILL');"],
  ...[
    'Promise.reject(1);',
    'setTimeout(() => { throw 2; });',
    'setInterval(() => {}, 1);',
    'queueMicrotask(() => { throw 3; });',
  ],
  ...[
    "console.log('::error::x');",
    "process.stdout.write('{}'.repeat(1e5));",
    'Array.prototype.push = () => 0;',
  ],
  ...[
    'globalThis.process = undefined;',
    'delete Object.prototype.toString;',
    'Error.prepareStackTrace = () => { throw 4; };',
  ],
  ...[
    'const a = []; for (;;) a.push(new Array(1e6).fill(0));',
    'const b = []; for (;;) b.push(new Uint8Array(1e7).fill(1));',
  ],
  ...[
    'process.disconnect?.();',
    "process.removeAllListeners('message');",
    'process.send = () => {};',
    'process.chdir("/");',
  ],
);
const answer = fc.constantFrom(
  '{}',
  '1',
  'null',
  'undefined',
  'NaN',
  '[]',
  '() => 0',
  '{ gfnToHva: () => 1 }',
  'new Proxy({}, {})',
  "'x'",
  'Promise.resolve({})',
  '{ then: 1 }',
  '2 ** 40',
  '-1',
);

const strategy = fc.tuple(statement, statement, answer).map(
  ([top, body, value]) => `${top}
export default { name: 'mine', cover: 'c.', source: 'me', layout: { backing: 'shm', shared: true, prot: 1, slotFlags: 0 },
  series: [{ name: 'p', subject: 's', source: 'me', apply: () => { ${body} return ${value}; } }] };`,
);
const scenario = fc
  .tuple(
    statement,
    fc.constantFrom('before', 'operations', 'claims', 'observe', 'expect', 'guest'),
    statement,
    answer,
  )
  .map(
    ([top, where, body, value]) => `${top}
export default { name: 'mine', asks: 'q?', operation: 'store', source: 'me', operations: () => 1,
  memory: { bios: { kind: 'rom', at: 0xf0000, bytes: 0x1000 } }, guest(g) { g.done(); g.halt(); },
  ${where}(g) { ${body} ${where === 'guest' ? 'g.halt();' : ''} return ${value}; } };`,
  );
const module = fc.oneof(
  strategy.map((text) => ({ option: '--strategy', text })),
  scenario.map((text) => ({ option: '--scenario', text })),
);

const tally = new Tally('modules');
afterAll(() => tally.tell());

test(
  'random modules',
  async () => {
    await fc.assert(
      fc.asyncProperty(module, async ({ option, text }) => {
        await writeFile(join(folder, 'm.mjs'), text);
        const other = option === '--strategy' ? ['--scenario', 'rom-write'] : ['--strategy', 'coexist'];
        const limits = [
          '--timeout',
          '3',
          '--memory',
          '300',
          '--jobs',
          '2',
          '--no-timing',
          '--format',
          'json',
        ];
        const argv = [program, option, './m.mjs', ...other, ...limits];
        const { code, out, err } = await execute(process.execPath, argv, { cwd: folder });
        expect(err, text).not.toContain('internal error');
        expect([0, 1, 2], text).toContain(code);
        const said = err.split('\n').filter((line) => line !== '' && !line.startsWith('| '));
        // Nothing compared is never a success; what was compared is told whole.
        if (code === 2) expect(said.length, text + err).toBe(1);
        if (code === 0) expect(JSON.parse(out).runs.length, text).toBe(1);
        tally.add(`${option.slice(2)} ${code}`);
      }),
      extent(4, SHARE),
    );
    if (MINUTES > 0) expect(tally.grownMiB()).toBeLessThan(300);
  },
  patience(SHARE),
);
