// The model that is made, as our own readers see it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { linearLayers } from '@qlora/models';
import { openCheckpoint } from '@qlora/models/node';
import { checkAdapter } from '@qlora/peft';
import { loadAdapter } from '@qlora/peft/node';
import { toFloat32 } from '@qlora/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesAt, writeAdapter, writeModel } from './model';
import { shapeFor } from './shape';
import { makeTile } from './tile';

const work = mkdtempSync(join(tmpdir(), 'qlora-large-test-'));
afterAll(() => rmSync(work, { recursive: true }));

const shape = shapeFor(3e6);
const tile = () => makeTile(1, 100_003);
const seen: number[] = [];
let files: string[] = [];
beforeAll(async () => {
  files = await writeModel(join(work, 'model'), shape, tile(), (bytes) => seen.push(bytes));
});

describe('a model that was made', () => {
  it('is opened as a checkpoint, from several files', async () => {
    const checkpoint = await openCheckpoint(join(work, 'model'));
    expect(checkpoint.source.tensors.map(({ name }) => name).sort()).toEqual(
      shape.tensors.map(({ name }) => name).sort(),
    );
    await checkpoint.close();
    expect(files.length).toBeGreaterThan(3);
    expect(files.map((path) => path.split('-').at(-1))).toContain(`0000${files.length}.safetensors`);
  });

  it('has random matrices, none like another, and norms of one', async () => {
    const { source, close } = await openCheckpoint(join(work, 'model'));
    const values = async (name: string) => toFloat32(await source.read(`model.layers.${name}.weight`));
    const [one, other] = [await values('0.mlp.up_proj'), await values('1.mlp.up_proj')];
    const rms = Math.sqrt(one.reduce((sum, x) => sum + x * x, 0) / one.length);
    expect(rms).toBeCloseTo(0.02, 3);
    expect(one.subarray(0, 64)).not.toEqual(other.subarray(0, 64));
    expect(new Set(await values('0.input_layernorm'))).toEqual(new Set([1]));
    await close();
  });

  it('takes real bytes of the disk, as many as it tells while it is made', async () => {
    const bytes = (await Promise.all(files.map(bytesAt))).reduce((sum, one) => sum + one, 0);
    expect(bytes).toBeGreaterThan(shape.bytes);
    expect(bytes).toBeLessThan(1.03 * shape.bytes);
    expect(seen.at(-1)).toBe(shape.bytes);
    expect(await bytesAt(join(work, 'model'))).toBeGreaterThan(bytes);
  });

  it('is the same again', async () => {
    await writeModel(join(work, 'again'), shape, tile());
    for (const name of readdirSync(join(work, 'model')))
      expect(readFileSync(join(work, 'again', name))).toEqual(readFileSync(join(work, 'model', name)));
  });

  it('has an adapter that changes every linear layer', async () => {
    const made = tile();
    await writeAdapter(join(work, 'adapter'), shape, made);
    const adapter = await loadAdapter(join(work, 'adapter'));
    const checkpoint = await openCheckpoint(join(work, 'model'));
    checkAdapter(adapter, linearLayers(checkpoint));
    await checkpoint.close();
    expect(adapter.config.rank).toBe(16);
    expect(adapter.modules.size).toBe(shape.linearModules.length);
    for (const factors of adapter.modules.values())
      for (const factor of factors.values()) expect(toFloat32(factor).some((x) => x !== 0)).toBe(true);
  });
});

describe('a tile', () => {
  it('gives as many values as are asked for, beyond its own end', () => {
    const pieces = [...makeTile(1, 1001).pieces(2500)];
    expect(pieces.reduce((sum, { data }) => sum + data.length, 0)).toBe(2500);
  });
  it('fills bytes', () => {
    const bytes = makeTile(1, 1001).bytes(5000);
    expect(bytes.subarray(2002, 4004)).toEqual(bytes.subarray(0, 2002));
    expect(new Set(bytes.subarray(4004)).size).toBeGreaterThan(100);
  });
});
