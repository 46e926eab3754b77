import fc from 'fast-check';
import { expect, test } from 'vitest';
import { predictProbe } from '../../engine/cost.ts';
import { PRICED_STEPS, type Step } from '../../engine/steps.ts';
import { calibrate, errorsOf, type Measurement, nonNegativeLeastSquares } from './calibrate.ts';

const HEAD = { name: 'sample', kernel: 'none', unit: 'instructions', overhead: 0 };

const measurement = (
  id: string,
  steps: Partial<Record<Step, number>>,
  measured: number,
  noisy = false,
): Measurement => ({ kernel: 'k', id, measured, noisy, steps });

function fitted(measurements: readonly Measurement[], overhead = 0) {
  const found = calibrate(measurements, { ...HEAD, overhead });
  if ('error' in found) throw new Error(found.error);
  return found;
}

test.each([
  // Two equations, two unknowns: 2x + y = 5, x + 3y = 10.
  {
    a: [
      [2, 1],
      [1, 3],
    ],
    b: [5, 10],
    x: [1, 3],
  },
  // Three points, the line through the origin that is nearest: (1·1 + 2·3 + 3·2) / (1 + 4 + 9).
  { a: [[1], [2], [3]], b: [1, 3, 2], x: [13 / 14] },
  // Without the bound y would be −1: y is 0, and x answers both rows as well as it can.
  {
    a: [
      [1, 1],
      [1, 2],
    ],
    b: [3, 2],
    x: [2.5, 0],
  },
  // Nothing positive helps at all.
  { a: [[1], [1]], b: [-1, -2], x: [0] },
])('non-negative least squares against cases solved by hand: $x', ({ a, b, x }) => {
  const found = nonNegativeLeastSquares(a, b);
  x.forEach((want, i) => {
    expect(found[i]).toBeCloseTo(want, 8);
  });
});

test('non-negative least squares meets the conditions of a minimum, whatever is asked', () => {
  const entry = fc.integer({ min: 0, max: 9 });
  const problem = fc.record({
    a: fc.array(fc.tuple(entry, entry, entry), { minLength: 3, maxLength: 8 }),
    b: fc.array(fc.integer({ min: -20, max: 40 }), { minLength: 8, maxLength: 8 }),
  });
  fc.assert(
    fc.property(problem, ({ a, b }) => {
      // A little of each unknown alone, so that there is one minimum.
      const rows = [...a.map((r) => [...r]), [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]];
      const wanted = [...b.slice(0, a.length), 0, 0, 0];
      const x = nonNegativeLeastSquares(rows, wanted);
      const rest = rows.map((r, i) => r.reduce((sum, v, j) => sum + v * (x[j] ?? 0), 0) - (wanted[i] ?? 0));
      x.forEach((xj, j) => {
        const slope = rows.reduce((sum, r, i) => sum + (r[j] ?? 0) * (rest[i] ?? 0), 0);
        expect(xj).toBeGreaterThanOrEqual(0);
        expect(slope).toBeGreaterThan(-1e-3);
        if (xj > 1e-6) expect(Math.abs(slope)).toBeLessThan(1e-3);
      });
    }),
    { numRuns: 100 },
  );
});

test('prices that made the measurements are found again, overhead and all', () => {
  const prices = { syscall: 300, 'world-switch': 1200, pio: 40 };
  const kinds = [
    { syscall: 1 },
    { syscall: 1, 'world-switch': 1 },
    { syscall: 1, 'world-switch': 2, pio: 1 },
  ];
  const profile = { ...HEAD, overhead: 6, steps: prices };
  const found = fitted(
    kinds.map((steps, i) => measurement(`p${i}`, steps, predictProbe(profile, steps))),
    6,
  );
  for (const [step, price] of Object.entries(prices)) {
    expect(found.profile.steps[step as Step]).toBeCloseTo(price, 0);
  }
  expect(errorsOf(found.residuals).worst).toBeLessThan(1e-3);
});

test('too few probes are refused with their number', () => {
  const few = [measurement('a', { syscall: 1, pio: 1 }, 10), measurement('b', { syscall: 1, pio: 1 }, 10)];
  expect(calibrate(few, HEAD)).toEqual({ error: '1 different probes are too few for prices of 2 steps' });
  expect(calibrate([], HEAD)).toHaveProperty('error');
});

test('steps that always come together share what they cost, and are named', () => {
  const found = fitted([
    measurement('a', { syscall: 1, pio: 1 }, 100),
    measurement('b', { syscall: 2, pio: 2 }, 200),
    measurement('c', { 'slot-change': 1 }, 50),
  ]);
  expect(found.profile.steps.syscall).toBeCloseTo(50, 1);
  expect(found.profile.steps.pio).toBeCloseTo(50, 1);
  expect(found.notes.join()).toContain('syscall, pio');
  expect(found.notes.join()).not.toContain('slot-change');
});

test('a noisy measurement far off moves nothing and is named; where it is alone it still gives a price', () => {
  const good = [measurement('a', { syscall: 1 }, 100), measurement('b', { syscall: 2 }, 200)];
  const found = fitted([
    ...good,
    measurement('c', { syscall: 1, 'host-io': 1 }, 1100, true),
    measurement('d', { syscall: 1, 'host-io': 1 }, 1110, true),
    measurement('e', { syscall: 1, 'host-io': 1 }, 90_000, true),
  ]);
  expect(found.profile.steps.syscall).toBeCloseTo(100, 0);
  expect(found.profile.steps['host-io']).toBeGreaterThan(900);
  expect(found.profile.steps['host-io']).toBeLessThan(1200);
  expect(found.notes.filter((n) => n.startsWith('k e '))).toHaveLength(1);
  expect(errorsOf(found.residuals).worst).toBeLessThan(0.01);
});

test('a probe that is left out is predicted from the others', () => {
  const found = fitted([
    measurement('a', { syscall: 1 }, 100),
    measurement('b', { syscall: 1, pio: 1 }, 150),
    measurement('c', { syscall: 2, pio: 1 }, 400),
  ]);
  const left = found.leaveOneOut.find((r) => r.id === 'c');
  expect(left?.predicted).toBeCloseTo(250, 0);
});

test('median and worst leave noisy ones out', () => {
  const residual = (error: number, noisy: boolean) =>
    ({ kernel: '', id: '', measured: 1, predicted: 1, error, noisy }) as const;
  const all = [residual(0.1, false), residual(-0.3, false), residual(9, true)];
  expect(errorsOf(all)).toEqual({ median: 0.2, worst: 0.3 });
  expect(errorsOf([])).toEqual({ median: 0, worst: 0 });
});

test('every priced step is named once', () => {
  expect(new Set(PRICED_STEPS).size).toBe(PRICED_STEPS.length);
});
