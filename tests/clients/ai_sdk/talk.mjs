// What a program of Vercel's AI SDK does, against the address and the model that it is told.
// Prints one line of JSON: what it read.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, streamText } from "ai";
import { z } from "zod";

const [baseURL, name] = process.argv.slice(2);
const provider = createOpenAICompatible({
  name: "glasschat",
  baseURL,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const asked = {
  model: provider(name),
  maxRetries: 0,
  system: "Be kind.",
  prompt: "Hello!",
  maxOutputTokens: 12,
  temperature: 0.5,
  topP: 0.9,
  seed: 1,
  stopSequences: ["zebra"],
  presencePenalty: 0.1,
  frequencyPenalty: 0.1,
  // What the SDK has no name for goes through as it is.
  providerOptions: { glasschat: { top_k: 40, typical_p: 0.99 } },
};

async function read(stream) {
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  return text;
}

const whole = await generateText(asked);
const stream = streamText(asked);
const streamed = await read(stream);

const schema = z.object({ name: z.enum(["Rex", "Tom"]), legs: z.number().int().min(0).max(8) });
const wanted = { ...asked, maxOutputTokens: 60, output: Output.object({ schema }) };
const pet = (await generateText(wanted)).output;
let parts = 0;
const growing = streamText(wanted);
for await (const _ of growing.partialOutputStream) parts += 1;
const grown = await growing.output;

const leaving = new AbortController();
const left = streamText({
  ...asked,
  maxOutputTokens: 400,
  abortSignal: leaving.signal,
  providerOptions: { glasschat: { ignore_eos: true } },
});
let aborted = false;
for await (const part of left.fullStream) {
  if (part.type === "text-delta") leaving.abort();
  aborted ||= part.type === "abort";
}

let refused = null;
try {
  await generateText({ ...asked, model: provider("no-such-model") });
} catch (error) {
  refused = { status: error.statusCode, message: error.message };
}

console.log(
  JSON.stringify({
    whole: { text: whole.text, usage: whole.usage.raw, finish: whole.finishReason },
    streamed: {
      text: streamed,
      usage: (await stream.usage).raw,
      finish: await stream.finishReason,
    },
    warnings: whole.warnings,
    pet,
    grown,
    parts,
    aborted,
    refused,
  }),
);
