/** The agent as a child on this machine, over two named pipes: for this host's own /dev/kvm. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MachineLost } from '../../machine.ts';
import { agentExecutable } from '../agent/agent.ts';
import { Channel, openWhenThere } from './channel.ts';
import { GuardedProcess, makePipes, makeRunFolder } from './guarded-process.ts';
import { Watchdog } from './kernel-watchdog.ts';

/** How long the child may take to say hello, in ms. */
const HELLO_WITHIN = 10_000;

/** A running agent. */
export interface LocalAgent {
  readonly channel: Channel;
  readonly process: GuardedProcess;
  /** Ends it and removes its files. */
  readonly stop: () => void;
}

/** Starts the agent; `patience` is how many milliseconds one answer may take. */
export function startLocalAgent(patience: number): LocalAgent {
  const folder = makeRunFolder();
  makePipes(folder, ['agent']);
  const file = join(folder, 'agent');
  writeFileSync(file, agentExecutable());
  chmodSync(file, 0o700);
  const pipes = [`${file}.in`, `${file}.out`];
  const child = new GuardedProcess({
    folder,
    command: '/bin/sh',
    args: ['-c', 'exec "$0" <"$1" >"$2"', file, ...pipes],
    log: 'agent.err',
  });
  const watchdog = new Watchdog(child.guardPid, HELLO_WITHIN);
  const stop = (): void => {
    watchdog.stop();
    child.stop();
  };
  try {
    const line = openWhenThere(file, () => child.alive, HELLO_WITHIN);
    const autopsy = (): Error =>
      watchdog.barked
        ? new MachineLost('hung', `no answer within ${patience / 1000} s`)
        : new MachineLost('kernel-panic', 'the agent died');
    const channel = new Channel(line, watchdog, autopsy);
    channel.awaitHello();
    watchdog.patience = patience;
    return {
      channel,
      process: child,
      stop: () => {
        channel.line.close();
        stop();
      },
    };
  } catch (error) {
    stop();
    throw error;
  }
}
