/** What a guest kernel boots into: the agent, the modules, and the one device node that must be there before /dev is. */
import { agentExecutable } from '../agent/agent.ts';
import { cpioArchive, S_IFCHR, S_IFDIR, S_IFREG } from './cpio.ts';
import type { ModuleFile } from './kernel-files.ts';

/** ttyS1: the kernel opens /dev/console as PID 1's first three descriptors, and the agent's line is that one. */
const TTY_S1 = [4, 65] as const;

/** The path of a module in the guest. */
export const modulePath = (module: ModuleFile): string => `/modules/${module.info.name}.ko`;

/** The archive. */
export function initramfs(modules: readonly ModuleFile[]): Uint8Array {
  const folder = (name: string) => ({ name, mode: S_IFDIR | 0o755 });
  return cpioArchive([
    { name: 'init', mode: S_IFREG | 0o755, data: agentExecutable() },
    ...['dev', 'proc', 'sys', 'modules'].map(folder),
    // The kernel's own archive has this node already, as (5, 1). Unpacking keeps a node of the same type that is there,
    // and removes one of another type: so a plain file first, then ours.
    { name: 'dev/console', mode: S_IFREG | 0o600 },
    { name: 'dev/console', mode: S_IFCHR | 0o600, dev: TTY_S1 },
    ...modules.map((m) => ({ name: modulePath(m).slice(1), mode: S_IFREG | 0o644, data: m.data })),
  ]);
}
