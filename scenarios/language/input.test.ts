/** Bad input: each mistake is told in one clear line. */
import { describe, expect, test } from 'vitest';
import romWrite from '../readonly-memory/guest/rom-write.ts';
import { paramsFor } from '../run/runner.ts';
import { checkScenario, checkStrategy } from './modules.ts';
import { choice, int, resolveParams } from './params.ts';
import { checkMemory, hole, ram, rom } from './regions.ts';

describe('parameters', () => {
  const specs = { writes: int(256, 1, 1000, 'stores'), drive: choice(['a', 'b'], 'drive') };

  test('have defaults and types', () => {
    expect(resolveParams(specs, {})).toEqual({ values: { writes: 256, drive: 'a' } });
    expect(resolveParams(specs, { writes: '1_000', drive: 'b' })).toEqual({
      values: { writes: 1000, drive: 'b' },
    });
  });

  test.each([
    [{ writes: 'many' }, 'parameter writes=many: expected a whole number from 1 to 1000'],
    [{ writes: '0' }, 'parameter writes=0: expected a whole number from 1 to 1000'],
    [{ writes: '1e3' }, 'parameter writes=1e3: expected a whole number from 1 to 1000'],
    [{ drive: 'c' }, 'parameter drive=c: expected one of a, b'],
    [{ reads: '1' }, "unknown parameter 'reads' (known: writes, drive)"],
  ])('%j is refused', (given, error) => {
    expect(resolveParams(specs, given as unknown as Record<string, string>)).toEqual({ error });
  });

  test('one that no scenario has is an error', () => {
    expect(paramsFor([romWrite], { wrties: 5 })).toEqual({
      error: "scenario rom-write has no parameter 'wrties' (known: writes)",
    });
    expect(paramsFor([romWrite, romWrite], { wrties: 5 })).toEqual({
      error: "none of the chosen scenarios has a parameter 'wrties' (known: writes)",
    });
  });
});

describe('memory', () => {
  test.each([
    [{ a: rom(0x10_0000, 0x2000), b: ram(0x10_1000, 0x1000) }, "regions 'a' and 'b' overlap at 0x101000"],
    [{ a: rom(0x8000, 0x1000) }, "regions 'low' and 'a' overlap at 0x8000"],
    [{ a: rom(0x10_0800, 0x1000) }, "region 'a' is not made of whole pages (at 0x100800, 4096 bytes)"],
    [{ a: hole(0x10_0000, 0) }, "region 'a' is not made of whole pages (at 0x100000, 0 bytes)"],
    [{ low: ram(0x10_0000, 0x1000) }, "region name 'low' is taken: every guest has it"],
    [{ a: rom(0xffff_f000, 0x2000) }, "region 'a' ends above 4 GiB"],
  ])('%#', (memory, error) => {
    expect(checkMemory(memory)).toBe(error);
  });
});

describe('modules', () => {
  test('a module without a default export', () => {
    expect(checkStrategy({ default: undefined }, './mine.mjs')).toEqual({
      error: './mine.mjs: the default export is not a strategy',
    });
    expect(checkScenario({ default: 7 }, './mine.mjs')).toEqual({
      error: './mine.mjs: the default export is not a scenario',
    });
  });

  test('a strategy with a hole in it', () => {
    const result = checkStrategy(
      { default: { name: 'mine', cover: 'x', source: 'y', series: [] } },
      './mine.mjs',
    );
    expect('error' in result && result.error).toMatch(/^\.\/mine\.mjs: not a strategy: layout: /);
  });

  test('a scenario whose regions overlap', () => {
    const bad = { ...romWrite, memory: { a: rom(0x10_0000, 0x2000), b: rom(0x10_0000, 0x1000) } };
    expect(checkScenario({ default: bad }, './mine.mjs')).toEqual({
      error: "./mine.mjs: regions 'a' and 'b' overlap at 0x100000",
    });
  });

  test('a scenario of this program is one', () => {
    expect(checkScenario({ default: romWrite }, 'rom-write')).toEqual({ value: romWrite });
  });
});
