/** A log of a flash device, replayed: a scenario made of it, run like any other. */
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import type { CostProfile } from '../../engine/cost.ts';
import { compare } from '../../scenarios/run/runner.ts';
import type { FlashAccess } from '../../scenarios/traces/read/trace-event.ts';
import { flashScenario } from '../../scenarios/traces/replay/flash-scenario.ts';
import type { Strategy } from '../../strategies/index.ts';
import { type Io, UsageError } from '../io.ts';
import { createProgress } from '../output/progress.ts';
import { render } from '../output/render.ts';
import { version } from '../version.ts';

/** What the log is replayed under. */
export interface FlashRequest {
  readonly files: readonly string[];
  readonly strategies: readonly Strategy[];
  readonly profile: CostProfile;
}

/** A replayed log, ready to be printed. */
export interface FlashReplay {
  readonly render: (format: string, width: number) => Promise<string>;
}

/** Runs the log's accesses under every strategy. */
export async function replayFlash(
  accesses: readonly FlashAccess[],
  { files, strategies, profile }: FlashRequest,
  io: Io,
): Promise<FlashReplay> {
  const scenario = flashScenario(accesses);
  if ('error' in scenario) throw new UsageError(`${files.join(', ')}: ${scenario.error}`);
  const progress = createProgress(io);
  const comparison = await compare({
    scenarios: [scenario],
    strategies,
    paging: 'npt',
    seed: 1,
    params: {},
    version: version(),
    command: `compare replay ${files.join(' ')}`,
    createMachine: createCoreMachine,
    profile,
    signal: io.signal,
    onProgress: ({ done, total, strategy }) => progress.show(`${done}/${total} the log under ${strategy}`),
  });
  progress.clear();
  return {
    render: (format, width) =>
      render(comparison, format === 'json' ? 'json' : 'table', { width, color: io.colour }),
  };
}
