"""Lessons: what each stage is, in two lines, with its formula and its source."""

from dataclasses import dataclass

from glasschat.web.language import N_


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a stage is, its formula and its source: messages.

    A formula without words and a citation are not translated.
    """

    what: str
    formula: str = ""
    source: str = ""


LESSONS = {
    "raw": Lesson(
        N_(
            "What the model itself says: a number for every token of its vocabulary. "
            "The softmax of these numbers are its probabilities, before any setting."
        ),
        "pᵢ = exp(zᵢ) / Σⱼ exp(zⱼ)",
    ),
    "logit_bias": Lesson(
        N_(
            "Adds a fixed number to the scores of the tokens that were named. "
            "A hundred makes a token certain, minus a hundred impossible."
        ),
        "zᵢ ← zᵢ + bᵢ",
        "OpenAI API, logit_bias",
    ),
    "repetition_penalty": Lesson(
        N_(
            "Makes tokens that stand in prompt or reply already less likely, once each. "
            "Positive scores are divided by the penalty, negative ones multiplied."
        ),
        "zᵢ ← zᵢ / θ  (zᵢ > 0),  zᵢ · θ  (zᵢ < 0)",
        "Keskar et al. 2019, CTRL, arXiv:1909.05858",
    ),
    "presence_penalty": Lesson(
        N_(
            "Takes a fixed amount from the scores of tokens that the reply has already. "
            "How often they stood there makes no difference."
        ),
        "zᵢ ← zᵢ − α · [nᵢ > 0]",
        "OpenAI API, presence_penalty",
    ),
    "frequency_penalty": Lesson(
        N_(
            "Takes from a token's score for every time that it stood in the reply. "
            "The more often it was said, the less likely it comes again."
        ),
        "zᵢ ← zᵢ − α · nᵢ",
        "OpenAI API, frequency_penalty",
    ),
    "dry": Lesson(
        N_(
            "Weakens a token that would lengthen a repeat: the longer the run before it stood once "
            "already, the more. Line ends, quotes and the like begin anew."
        ),
        "zᵢ ← zᵢ − m · b^(ℓᵢ − a)",
        N_("P. E. Weidmann 2024, text-generation-webui #5677"),
    ),
    "no_repeat_ngram_size": Lesson(
        N_(
            "Forbids any token that would repeat a run of n tokens of prompt and reply. "
            "Strong: names and phrases that have to come again cannot."
        ),
        N_("zᵢ ← −∞  if (…, i) is a run of n seen before"),
        "Paulus et al. 2017, arXiv:1705.04304",
    ),
    "min_new_tokens": Lesson(
        N_(
            "Forbids the tokens that end a reply until it is long enough. "
            "With ignore_eos they are forbidden all along."
        ),
        N_("z_end ← −∞  while length < n"),
        "transformers, MinNewTokensLengthLogitsProcessor",
    ),
    "temperature": Lesson(
        N_(
            "Divides all scores: below 1 the likely become likelier still, above 1 all become "
            "more alike. Nobody is removed and the order stays."
        ),
        "zᵢ ← zᵢ / T",
        "Ackley, Hinton & Sejnowski 1985",
    ),
    "dynamic_temperature": Lesson(
        N_(
            "Divides all scores by a temperature of this token's own: low where the model is sure, "
            "high where it hesitates. H is its entropy, n the number of candidates."
        ),
        "T = T₀ − r + 2r · (H / log n)^e,  zᵢ ← zᵢ / T",
        N_("kalomaze 2023, koboldcpp; llama.cpp, temp-ext"),
    ),
    "top_k": Lesson(
        N_(
            "Keeps the k best candidates and removes all others, however likely they are. "
            "Candidates that equal the last one stay with it."
        ),
        N_("keep i  if  rank(i) ≤ k"),
        "Fan et al. 2018, arXiv:1805.04833",
    ),
    "top_p": Lesson(
        N_(
            "Keeps the fewest best candidates whose probabilities together reach p. "
            "Where the model is sure few are left, where it is not many."
        ),
        N_("keep the fewest i with  Σ pᵢ ≥ p"),
        "Holtzman et al. 2019, arXiv:1904.09751",
    ),
    "min_p": Lesson(
        N_(
            "Removes candidates that are less likely than this share of the best one. "
            "The surer the model, the higher the bar."
        ),
        N_("keep i  if  pᵢ ≥ m · max pⱼ"),
        "Nguyen et al. 2024, arXiv:2407.01082",
    ),
    "top_n_sigma": Lesson(
        N_(
            "Removes candidates whose scores lie too far below the best one, measured by how much "
            "all scores spread. A temperature before it changes nothing about who is left."
        ),
        N_("keep i  if  zᵢ ≥ max zⱼ − n · σ(z)"),
        "Tang et al. 2024, arXiv:2411.07641",
    ),
    "typical_p": Lesson(
        N_(
            "Keeps the candidates whose surprise is nearest to the one to be expected. "
            "It can remove the likeliest one: that may say too little."
        ),
        N_("keep smallest |−log pᵢ − H|  until  Σ pᵢ ≥ p"),
        "Meister et al. 2022, arXiv:2202.00666",
    ),
    "xtc": Lesson(
        N_(
            "Now and then, as a second random number decides, removes the likeliest candidates and "
            "leaves the least likely of those that still pass its threshold: less of a cliché."
        ),
        N_("with chance q: remove every pᵢ ≥ t but the smallest"),
        N_("P. E. Weidmann 2024, text-generation-webui #6335"),
    ),
    "softmax": Lesson(
        N_(
            "What is left becomes probabilities that sum to 1, laid end to end from 0 to 1. "
            "A random number u falls on one of them: that is the token."
        ),
        "Σ_{j<i} pⱼ ≤ u < Σ_{j≤i} pⱼ",
        N_("inverse transform sampling"),
    ),
}
GRAMMAR = Lesson(
    N_(
        "Forbids every token that cannot come next in the form that was asked for. "
        "What is left keeps its odds."
    ),
    N_("zᵢ ← −∞  if the grammar has no place for i"),
    "llguidance",
)
CUSTOM = Lesson(N_("A stage of your own: its source says what it does."))


def lesson(name: str) -> Lesson:
    """Return the lesson of a stage; any unknown name is that of a custom stage."""
    return LESSONS.get(name) or (GRAMMAR if name == "grammar" else CUSTOM)
