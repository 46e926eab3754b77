/**
 * The charts of a Comparison as vega-lite specs: pure functions, one chart a scenario. Names from outside are
 * data values only, never field names or expressions.
 */
import type { TopLevelSpec } from 'vega-lite';
import { EXIT_KINDS } from '../../engine/exits.ts';
import { STEP_GROUPS } from '../../engine/steps.ts';
import type { Comparison, Run, ScenarioInfo } from '../../scenarios/run/comparison.ts';
import { visible } from './escape.ts';
import { count, FATE_WORDS, hasOperations, medianInterval, perOperation, stepGroup } from './words.ts';

/** A chart with what a reader who cannot see it is told. */
export interface Chart {
  readonly scenario: string;
  readonly title: string;
  /** The text alternative: the numbers that matter, in a sentence. */
  readonly says: string;
  readonly spec: TopLevelSpec;
}

/** A colour-blind-safe palette (Okabe and Ito), in an order in which neighbours differ in lightness. */
export const PALETTE = [
  '#0072b2',
  '#e69f00',
  '#56b4e9',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#f0e442',
  '#8c8c8c',
  '#5b4b8a',
] as const;

/** Parts of the cost chart and their colours. */
export const COST_PARTS: readonly string[] = [...STEP_GROUPS, 'other'];

const chartLabel = (r: Run): string =>
  r.fate === 'ok' ? visible(r.strategy) : `${visible(r.strategy)} (${FATE_WORDS[r.fate].word})`;

/** Axes and text take the page's colour, so that one picture serves light, dark and paper. */
const THEME = {
  background: 'transparent',
  padding: 2,
  config: {
    aria: false,
    font: 'system-ui, sans-serif',
    view: { stroke: 'transparent' },
    axis: {
      labelColor: 'currentColor',
      titleColor: 'currentColor',
      domainColor: 'currentColor',
      tickColor: 'currentColor',
      gridColor: 'currentColor',
      gridOpacity: 0.15,
      domainOpacity: 0.3,
      tickOpacity: 0.3,
      labelLimit: 240,
      titleFontWeight: 'normal',
    },
  },
} as const;

interface Bar {
  readonly strategy: string;
  readonly part: string;
  readonly value: number;
  readonly order: number;
}

/** A stacked bar a strategy. */
function stacked(
  bars: readonly Bar[],
  strategies: readonly string[],
  parts: readonly string[],
  title: string,
): TopLevelSpec {
  return {
    ...THEME,
    width: 270,
    height: { step: 17 },
    data: { values: [...bars] },
    mark: { type: 'bar', stroke: 'currentColor', strokeWidth: 0.4, strokeOpacity: 0.6 },
    encoding: {
      y: {
        field: 'strategy',
        type: 'nominal',
        sort: [...strategies],
        scale: { domain: [...strategies] },
        title: null,
      },
      x: {
        field: 'value',
        type: 'quantitative',
        title,
        axis: { tickCount: 4, tickMinStep: 1, labelExpr: "format(datum.value, '~s')" },
      },
      color: {
        field: 'part',
        type: 'nominal',
        legend: null,
        scale: { domain: [...parts], range: parts.map((_, i) => PALETTE[i % PALETTE.length] ?? PALETTE[0]) },
      },
      order: { field: 'order', type: 'quantitative' },
    },
  };
}

const scenarioRuns = (c: Comparison, s: ScenarioInfo): Run[] => c.runs.filter((r) => r.scenario === s.name);

/** Predicted instructions of a real kernel per operation, split by what they are spent on. */
export function costCharts(c: Comparison): Chart[] {
  return c.scenarios.flatMap((s) => {
    const runs = scenarioRuns(c, s).filter((r) => r.cost !== undefined);
    // What a VM cost that died on the way is no price of an operation: its line stays empty.
    const priced = runs.filter(hasOperations);
    if (priced.length === 0) return [];
    const bars = priced.flatMap((r) => {
      const groups = new Map<string, number>();
      const scale = r.cost && r.cost.total > 0 ? r.cost.perOperation / r.cost.total : 0;
      for (const [step, n] of Object.entries(r.cost?.byStep ?? {})) {
        groups.set(stepGroup(step), (groups.get(stepGroup(step)) ?? 0) + n * scale);
      }
      return bar(chartLabel(r), groups, COST_PARTS);
    });
    const says = runs
      .map((r) => `${chartLabel(r)} ${priced.includes(r) ? perOperation(r.cost?.perOperation ?? 0) : 'none'}`)
      .join(', ');
    const title = `kernel instructions per ${visible(s.operation)}, predicted`;
    const spec = stacked(bars, runs.map(chartLabel), COST_PARTS, title);
    return [{ scenario: s.name, title, says: `${title}: ${says}.`, spec }];
  });
}

function bar(strategy: string, parts: ReadonlyMap<string, number>, order: readonly string[]): Bar[] {
  return [...parts].flatMap(([part, value]) =>
    value > 0 ? [{ strategy, part, value, order: order.indexOf(part) }] : [],
  );
}

/** Exits to userspace by reason. */
export function exitCharts(c: Comparison): Chart[] {
  return c.scenarios.flatMap((s) => {
    const runs = scenarioRuns(c, s);
    if (!runs.some((r) => EXIT_KINDS.some((k) => r.exits[k] > 0))) return [];
    const bars = runs.flatMap((r) =>
      bar(chartLabel(r), new Map(EXIT_KINDS.map((k) => [k, r.exits[k]])), EXIT_KINDS),
    );
    const says = runs
      .map((r) => {
        const some = EXIT_KINDS.filter((k) => r.exits[k] > 0).map((k) => `${count(r.exits[k])} ${k}`);
        return `${chartLabel(r)} ${some.join(' and ') || 'none'}`;
      })
      .join('; ');
    const spec = stacked(bars, runs.map(chartLabel), EXIT_KINDS, 'exits to userspace');
    return [
      { scenario: s.name, title: 'exits to userspace', says: `Exits to userspace by reason: ${says}.`, spec },
    ];
  });
}

/** At most so many samples are drawn for a strategy, evenly by rank. */
const DRAWN = 24;

/** Samples, the 95 % interval of the median, and the median: this machine's nanoseconds per operation. */
export function timingCharts(c: Comparison): Chart[] {
  return c.scenarios.flatMap((s) => {
    const runs = scenarioRuns(c, s).filter((r) => r.timing !== undefined);
    if (runs.length === 0) return [];
    const medians = runs.flatMap((r) =>
      r.timing ? [{ strategy: chartLabel(r), ...medianInterval(r.timing) }] : [],
    );
    const samples = runs.flatMap((r) =>
      thin((r.timing?.raw ?? []).filter((ns) => ns > 0)).map((ns) => ({ strategy: chartLabel(r), ns })),
    );
    const says = medians
      .map(
        (m) => `${m.strategy} ${perOperation(m.median)} (${perOperation(m.low)} to ${perOperation(m.high)})`,
      )
      .join(', ');
    const title = `ns per ${visible(s.operation)}, this machine`;
    return [
      {
        scenario: s.name,
        title,
        says: `Median nanoseconds per operation with 95 % intervals: ${says}.`,
        spec: distribution(samples, medians, runs.map(chartLabel), title),
      },
    ];
  });
}

function thin(raw: readonly number[]): number[] {
  const sorted = raw.filter(Number.isFinite).toSorted((a, b) => a - b);
  if (sorted.length <= DRAWN) return sorted;
  return Array.from(
    { length: DRAWN },
    (_, i) => sorted[Math.round((i * (sorted.length - 1)) / (DRAWN - 1))] ?? 0,
  );
}

/** Strategies can be a hundred times apart; then equal ratios get equal distances, and 1 and 3 the ticks. */
function timeScale(ns: readonly number[]): { readonly scale: object; readonly values?: number[] } {
  const [low, high] = [Math.min(...ns), Math.max(...ns)];
  if (ns.length === 0 || high <= 20 * low) return { scale: { zero: false } };
  const decades = Array.from({ length: 14 }, (_, i) => 10 ** (i - 2));
  const within = (x: number): boolean => x >= low * 0.7 && x <= high * 1.4;
  const tens = decades.filter(within);
  const values = tens.length >= 3 ? tens : decades.flatMap((x) => [x, 3 * x]).filter(within);
  return { scale: { type: 'log', nice: false, domain: [low * 0.7, high * 1.4] }, values };
}

function distribution(
  samples: readonly { readonly strategy: string; readonly ns: number }[],
  medians: readonly { readonly strategy: string; readonly low: number; readonly high: number }[],
  strategies: readonly string[],
  title: string,
): TopLevelSpec {
  const { scale, values } = timeScale(samples.map((x) => x.ns));
  return {
    ...THEME,
    width: 270,
    height: { step: 19 },
    encoding: {
      y: {
        field: 'strategy',
        type: 'nominal',
        sort: [...strategies],
        scale: { domain: [...strategies] },
        title: null,
      },
    },
    layer: [
      {
        data: { values: [...samples] },
        mark: { type: 'tick', color: PALETTE[2], thickness: 1, opacity: 0.7, height: 13 },
        encoding: {
          x: {
            field: 'ns',
            type: 'quantitative',
            scale,
            title: values === undefined ? title : `${title} (log)`,
            axis: {
              tickCount: 5,
              labelExpr: "format(datum.value, '~s')",
              ...(values === undefined ? {} : { values }),
            },
          },
        },
      },
      {
        data: { values: [...medians] },
        mark: { type: 'rule', color: 'currentColor', strokeWidth: 2 },
        encoding: { x: { field: 'low', type: 'quantitative' }, x2: { field: 'high' } },
      },
      {
        data: { values: [...medians] },
        mark: {
          type: 'point',
          filled: true,
          color: PALETTE[3],
          stroke: 'currentColor',
          strokeWidth: 1,
          size: 45,
          opacity: 1,
        },
        encoding: { x: { field: 'median', type: 'quantitative' } },
      },
    ],
  };
}
