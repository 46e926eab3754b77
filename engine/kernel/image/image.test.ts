/** Kernel packages: what is found in them, what is missed in them, and the archive a kernel boots into. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cpioArchive, S_IFREG } from './cpio.ts';
import { findKernel } from './kernel-files.ts';
import { moduleInfo } from './module-info.ts';

const RELEASE = '6.1.0-test';
const NEEDED = ['virtio_pci', 'virtio_console', 'virtio_blk', 'kvm', 'kvm-amd'];
const OPTIONS = [
  'BLK_DEV_INITRD=y DEVTMPFS=y MEMFD_CREATE=y SERIAL_8250=y CROSS_MEMORY_ATTACH=y PROC_FS=y',
  'VIRTIO_PCI=m VIRTIO_CONSOLE=m VIRTIO_BLK=m KVM=m KVM_AMD=m',
].flatMap((line) => line.split(' '));

/** A file with the boot header that a bzImage has. */
function bzImage(): Buffer {
  const file = Buffer.alloc(0x2000);
  file.write('HdrS', 0x202);
  file.writeUInt16LE(0x1000, 0x20e);
  file.write(`${RELEASE} (somebody@somewhere) #1`, 0x1200);
  return file;
}

/** An ELF file with a .modinfo section and nothing else. */
function module(name: string, depends: readonly string[] = [], release = RELEASE): Buffer {
  const info = Buffer.from(
    `name=${name}\0depends=${depends.join(',')}\0vermagic=${release} SMP mod_unload\0`,
  );
  const names = Buffer.from('\0.modinfo\0.shstrtab\0');
  const head = Buffer.alloc(64);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  head.writeBigUInt64LE(BigInt(64 + info.length + names.length), 40);
  head.writeUInt16LE(64, 58);
  head.writeUInt16LE(3, 60);
  head.writeUInt16LE(2, 62);
  const section = (nameAt: number, at: number, size: number): Buffer => {
    const s = Buffer.alloc(64);
    s.writeUInt32LE(nameAt, 0);
    s.writeBigUInt64LE(BigInt(at), 24);
    s.writeBigUInt64LE(BigInt(size), 32);
    return s;
  };
  const table = [section(0, 0, 0), section(1, 64, info.length), section(10, 64 + info.length, names.length)];
  return Buffer.concat([head, info, names, ...table]);
}

describe('a package folder', () => {
  let root: string;
  const put = (path: string, data: string | Uint8Array): string => {
    const file = join(root, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, data);
    return file;
  };
  const modules = `lib/modules/${RELEASE}`;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'faultline-image-'));
    put(`boot/vmlinuz-${RELEASE}`, bzImage());
    put(`boot/config-${RELEASE}`, OPTIONS.map((o) => `CONFIG_${o}`).join('\n'));
    put(`${modules}/modules.builtin`, 'kernel/drivers/virtio/virtio_pci.ko\n');
    put(`${modules}/kernel/virtio_ring.ko`, module('virtio_ring'));
    put(`${modules}/kernel/virtio.ko.gz`, gzipSync(module('virtio', ['virtio_ring'])));
    for (const name of NEEDED.slice(1, 4)) put(`${modules}/kernel/${name}.ko`, module(name, ['virtio']));
    put(`${modules}/kernel/kvm-amd.ko`, module('kvm_amd', ['kvm', 'ccp']));
    put(`${modules}/kernel/ccp.ko`, module('ccp'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test('modules come in the order they need each other, without those that are built in', () => {
    const found = findKernel(root);
    expect(found.release).toBe(RELEASE);
    const order = 'virtio_ring virtio virtio_console virtio_blk kvm ccp kvm_amd';
    expect(found.modules.map((m) => m.info.name).join(' ')).toBe(order);
    expect(findKernel(join(root, `boot/vmlinuz-${RELEASE}`)).modules.length).toBe(7);
  });

  test('a module of the user takes the place of the kernel’s own, if it was built for it', () => {
    const own = put('build/kvm.ko', module('kvm', ['virtio']));
    const found = findKernel(`${root}+${own}`);
    expect(found.modules.filter((m) => m.info.name === 'kvm').map((m) => m.data.length)).toEqual([
      module('kvm', ['virtio']).length,
    ]);
    const other = put('other/kvm.ko', module('kvm', [], '6.12.0'));
    expect(() => findKernel(`${root}+${other}`)).toThrow(
      /was built for 6\.12\.0 .*, and the kernel is 6\.1\.0-test/,
    );
    expect(() => findKernel(`${root}+${root}/boot/vmlinuz-${RELEASE}`)).toThrow(/not a kernel module/);
    expect(() => findKernel(`${root}+/nowhere/kvm.ko`)).toThrow(/\/nowhere\/kvm\.ko: no such file/);
  });

  test('what it lacks is named by its option', () => {
    put(
      `boot/config-${RELEASE}`,
      OPTIONS.filter((o) => !/MEMFD|KVM_AMD/.test(o))
        .map((o) => `CONFIG_${o}`)
        .join('\n'),
    );
    expect(() => findKernel(root)).toThrow(/built without CONFIG_MEMFD_CREATE, CONFIG_KVM_AMD$/);
    rmSync(join(root, 'boot', `config-${RELEASE}`));
    rmSync(join(root, modules, 'kernel', 'ccp.ko'));
    expect(() => findKernel(root)).toThrow(/module ccp is neither in .* nor built in \(kvm_amd needs it\)/);
    rmSync(join(root, modules, 'kernel', 'virtio_console.ko'));
    expect(() => findKernel(root)).toThrow(/module virtio_console .* \(CONFIG_VIRTIO_CONSOLE\)/);
  });

  test('of two kernels none is guessed', () => {
    put('boot/vmlinuz-6.2', bzImage());
    expect(() => findKernel(root)).toThrow(
      /2 images \(vmlinuz-6\.1\.0-test, vmlinuz-6\.2\): name one of them/,
    );
  });
});

test('no file is taken for a module that is none, whatever is in it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, elf) => {
      const file = elf ? new Uint8Array([0x7f, 0x45, 0x4c, 0x46, ...bytes]) : bytes;
      expect(moduleInfo(file)).toBeUndefined();
    }),
  );
});

test('an archive has every entry at a multiple of four, with its size and its bytes', () => {
  const name = fc.stringMatching(/^[a-z]{1,12}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.uint8Array({ maxLength: 50 })), { maxLength: 6 }), (files) => {
      const archive = Buffer.from(
        cpioArchive(files.map(([n, data]) => ({ name: n, mode: S_IFREG | 0o644, data }))),
      );
      const seen: [string, Uint8Array][] = [];
      for (let at = 0; ; ) {
        expect(at % 4).toBe(0);
        expect(archive.toString('latin1', at, at + 6)).toBe('070701');
        const field = (i: number): number =>
          Number.parseInt(archive.toString('latin1', at + 6 + 8 * i, at + 14 + 8 * i), 16);
        const [size, nameBytes] = [field(6), field(11)];
        const entry = archive.toString('latin1', at + 110, at + 110 + nameBytes - 1);
        const data = (at + 110 + nameBytes + 3) & ~3;
        if (entry === 'TRAILER!!!') break;
        seen.push([entry, Uint8Array.from(archive.subarray(data, data + size))]);
        at = (data + size + 3) & ~3;
      }
      expect(seen).toEqual(files);
    }),
  );
});
