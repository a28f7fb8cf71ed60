/** The two graphs under ONNX Runtime Web: tensors in, tensors out. */

import type { InferenceSession, Tensor } from "onnxruntime-web";
import type { Description } from "./description";
import { EngineError } from "./engine";

type Runtime = typeof import("onnxruntime-web/wasm");

/** An image as the decoder reads it. */
export interface ImageTensors {
  embeds: Tensor;
  deepstack: Tensor;
}

/** Inputs of one pass that change from pass to pass. */
export interface PassInputs {
  ids: number[];
  /** 3 x ids.length. */
  positions: number[];
  headFlags: Float32Array;
  keyBias: Float32Array;
  watch: Float32Array;
}

/** Runs the graphs and keeps the cache of the text being written. */
export class Graphs {
  private past: Tensor[] = [];

  private constructor(
    private readonly ort: Runtime,
    private readonly vision: InferenceSession,
    private readonly decoder: InferenceSession,
    private readonly shape: Description["graph"],
  ) {}

  /** Prepares both graphs. */
  static async load(
    description: Description,
    files: Map<string, Uint8Array<ArrayBuffer>>,
  ): Promise<Graphs> {
    const gpu = description.provider === "webgpu";
    const ort = (await (gpu
      ? import("onnxruntime-web/webgpu")
      : import("onnxruntime-web/wasm"))) as Runtime;
    // two threads were slower than one for small models, and need special headers
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error";
    const open = async (graph: string): Promise<InferenceSession> => {
      const externalData = (description.graph.weights[graph] ?? []).map((path) => ({
        path,
        data: take(files, path),
      }));
      const data = take(files, `${graph}.onnx`);
      try {
        return await ort.InferenceSession.create(data, {
          executionProviders: [description.provider],
          externalData,
          preferredOutputLocation: gpu ? onGpu(graph, description.graph.layers) : "cpu",
        });
      } catch (error) {
        throw new EngineError(reason(graph, error));
      }
    };
    const vision = await open("vision");
    try {
      return new Graphs(ort, vision, await open("decoder"), description.graph);
    } catch (error) {
      await vision.release();
      throw error;
    }
  }

  /** The tokens of a stretched image of `rows` x `columns` cells. */
  async see(rgba: Uint8Array, rows: number, columns: number, cell: number): Promise<ImageTensors> {
    const pixels = new this.ort.Tensor("uint8", rgba, [rows, cell, columns, cell, 4]);
    const { image_embeds, deepstack } = await this.vision.run({ rgba: pixels });
    return { embeds: image_embeds, deepstack };
  }

  /** Forgets the text and the image before; the next pass is a prefill. */
  forget(image?: ImageTensors): void {
    for (const tensor of this.past) tensor.dispose();
    image?.embeds.dispose();
    image?.deepstack.dispose();
    const { layers, keyHeads, headSize, cache } = this.shape;
    const nothing = cache === "float16" ? new Uint16Array(0) : new Float32Array(0);
    this.past = Array.from(
      { length: 2 * layers },
      () => new this.ort.Tensor(cache, nothing as Float32Array, [1, keyHeads, 0, headSize]),
    );
  }

  /** One pass; what it read is kept for the next. */
  async pass(
    image: ImageTensors,
    inputs: PassInputs,
  ): Promise<{ logits: Float32Array; attention: Float32Array }> {
    const { layers, heads } = this.shape;
    const { Tensor } = this.ort;
    const count = inputs.ids.length;
    const feeds: Record<string, Tensor> = {
      input_ids: new Tensor("int64", inputs.ids.map(BigInt), [1, count]),
      position_ids: new Tensor("int64", inputs.positions.map(BigInt), [3, 1, count]),
      image_embeds: image.embeds,
      deepstack: image.deepstack,
      head_flags: new Tensor("float32", inputs.headFlags, [layers, heads]),
      key_bias: new Tensor("float32", inputs.keyBias, [inputs.keyBias.length]),
      watch: new Tensor("float32", inputs.watch, [layers, heads]),
    };
    this.past.forEach((tensor, i) => {
      feeds[`past_${i}`] = tensor;
    });
    const out = await this.decoder.run(feeds);
    for (const tensor of this.past) tensor.dispose();
    this.past = this.past.map((_, i) => out[`present_${i}`]);
    return {
      logits: out.logits.data as Float32Array,
      attention: out.attention.data as Float32Array,
    };
  }
}

function take(files: Map<string, Uint8Array<ArrayBuffer>>, name: string): Uint8Array<ArrayBuffer> {
  const data = files.get(name);
  if (!data) throw new EngineError(`the exported model has no ${name}`);
  files.delete(name); // a big model is not to be held twice
  return data;
}

/** Outputs that the next pass reads stay on the GPU. */
function onGpu(graph: string, layers: number): Record<string, "gpu-buffer"> {
  const names =
    graph === "vision"
      ? ["image_embeds", "deepstack"]
      : Array.from({ length: 2 * layers }, (_, i) => `present_${i}`);
  return Object.fromEntries(names.map((name) => [name, "gpu-buffer" as const]));
}

/** Why a graph cannot run, in one line. */
function reason(graph: string, error: unknown): string {
  const [told] = String((error as Error)?.message ?? error).split("\n");
  const [, start] = /^no available backend.*?ERR: (.*?)( Build with .*)?$/.exec(told) ?? [];
  return start
    ? `the page's runtime, a .wasm file in its folder assets, does not start: ${start}`
    : `the browser cannot prepare ${graph}.onnx: ${told}`;
}

/**
 * Asks, before anything is fetched, whether this browser can run the model.
 * @throws EngineError if it lacks the graphics card that the model needs.
 */
export async function checkGpu(description: Description): Promise<void> {
  if (description.provider !== "webgpu") return;
  const name = description.info.name;
  if (!("gpu" in navigator)) {
    throw new EngineError(`${name} needs WebGPU, which this browser does not have`);
  }
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new EngineError(`${name} needs WebGPU, and no graphics card offers it here`);
  const room = Math.min(adapter.limits.maxBufferSize, adapter.limits.maxStorageBufferBindingSize);
  if (description.graph.largest > room) {
    throw new EngineError(
      `${name} needs a graphics card with buffers of ${megabytes(description.graph.largest)}; ` +
        `this one offers ${megabytes(room)}`,
    );
  }
  if (description.graph.cache === "float16" && !adapter.features.has("shader-f16")) {
    throw new EngineError(
      `${name} needs a graphics card with 16-bit floats (shader-f16), which this one lacks`,
    );
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
