"""Labels of the glass box: the texts that its JavaScript modules show."""

from glasschat.web.language import N_, _

_LABELS = {
    "title": N_("Glass box"),
    "close": N_("Close the glass box"),
    "wider": N_("Wider or narrower"),
    "save": N_("Save the record of this reply; glasschat replay and glasschat diff read it"),
    "unreachable": N_("The server does not answer. What is shown stays; it is asked again."),
    "token": N_("{n} token"),
    "tokens": N_("{n} tokens"),
    "state_queued": N_("in the queue"),
    "state_prefilling": N_("reading the prompt"),
    "state_running": N_("writing"),
    "state_paused": N_("paused"),
    "tab_tokens": N_("Tokens"),
    "tint": N_("Tint"),
    "tint_probability": N_("probability"),
    "tint_surprise": N_("surprise"),
    "tint_entropy": N_("entropy"),
    "tint_change": N_("changed by settings"),
    "bits": N_("bits"),
    "legend": N_("Clear is what was to be expected; underlined is below 10%."),
    "number": N_("Token {n}"),
    "probability": N_("probability"),
    "cumulative": N_("cumulative"),
    "rank": N_("rank"),
    "score": N_("score"),
    "numbers": N_("Numbers"),
    "by_hand": N_("taken by hand"),
    "click_a_token": N_("Click a token to see how it was chosen."),
    "candidate": N_("candidate"),
    "kept": N_("Candidates that are left, and how much probability they had before"),
    "raw": N_("raw"),
    "draw_from": N_("drawn from"),
    "all": N_("All {n} candidates"),
    "fewer": N_("Fewer candidates"),
    "not_exact": N_("≈ marks what the recorded candidates do not settle."),
    "unknown": N_("Not known from the record"),
    "rest": N_("All other tokens together"),
    "take": N_("take"),
    "anew": N_("Go on from here with the settings of the sidebar"),
    "anew_help": N_("Another reply beside this one, the same up to this token."),
    "tab_what_if": N_("What if"),
    "tab_setting_effects": N_("Settings"),
    "tab_prompt": N_("Prompt"),
    "tab_debugger": N_("Debugger"),
    "tab_walkthrough": N_("How it works"),
    "what_if_help": N_(
        "Change a setting and see where the reply would have gone another way. The model does not "
        "run: what was recorded answers."
    ),
    "nothing_recorded": N_("Nothing is recorded of this reply yet."),
    "sample": N_("Sample"),
    "order": N_("Order of the stages"),
    "earlier": N_("earlier"),
    "later": N_("later"),
    "go_on_so": N_("Go on from here with these settings"),
    "as_it_was": N_("As it was"),
    "effects_help": N_("What each setting did, asked by leaving it out and nothing else."),
    "no_effects": N_("No setting was in use: the model's own odds were drawn from."),
    "effect_setting": N_("Setting"),
    "effect_sets": N_("Candidates"),
    "effect_sets_help": N_("At how many tokens it changed who was left to choose from"),
    "effect_distributions": N_("Odds"),
    "effect_distributions_help": N_("At how many tokens it changed how likely they were"),
    "effect_choices": N_("Choices"),
    "effect_choices_help": N_("At how many tokens it changed which one was chosen"),
    "effect_open": N_("Open"),
    "effect_open_help": N_("At how many tokens the recorded candidates do not suffice to say"),
    "prompt_read": N_("{n} tokens: {cached} from the cache, {fresh} read anew."),
    "origin_template": N_("template"),
    "origin_system": N_("system prompt"),
    "origin_user": N_("user"),
    "origin_assistant": N_("assistant"),
    "left_out": N_("Turns left out because the context is full: {n}"),
    "stayed_text": N_("Control pieces in content that stayed text:"),
    "stayed_here": N_("looks like a control token and is text"),
    "from_here": N_("Up to here from the cache"),
    "from_cache": N_("from the cache"),
    "prefilled": N_("read anew"),
    "debug_help": N_("Stop before a choice falls, look at it, and choose by hand if you like."),
    "debug_pause": N_("Pause"),
    "debug_step": N_("Step"),
    "debug_steps": N_("Steps"),
    "debug_resume": N_("Run to breakpoint"),
    "debug_run": N_("Run on"),
    "debug_cancel": N_("Stop"),
    "debug_over": N_("This reply has ended."),
    "steps": N_("How many steps"),
    "again_paused": N_("Again, paused at the first token"),
    "next_paused": N_("Pause every next reply at its first token"),
    "pause_when": N_("Pause when"),
    "point_probability": N_("probability of the choice below"),
    "point_entropy": N_("entropy above, bits"),
    "point_text": N_("text appears"),
    "point_best": N_("a stage changes the first"),
    "remove": N_("Remove"),
    "walk_help": N_("One step of the loop that writes every reply, with the numbers of this one."),
    "walk_back": N_("Token before"),
    "walk_on": N_("Next token"),
    "walk_left": N_("{n} candidates are left; they had {share} of the probability before."),
    "walk_none": N_("None is in use here."),
    "walk_1": N_("Your words become one list of numbers"),
    "walk_1_says": N_(
        "The chat template puts markers around every turn, and the tokenizer cuts the text into "
        "pieces of its vocabulary: {n} of them here, each with its number. These are the last:"
    ),
    "walk_2": N_("What was said so far goes behind it"),
    "walk_2_says": N_(
        "The reply has {n} tokens before this one. The model reads them as it reads your words; "
        "what it has read once stays in its cache."
    ),
    "walk_3": N_("The model says how likely everything is"),
    "walk_3_says": N_(
        "It answers with one score, called logit, for each of the {n} tokens that could come "
        "next. The softmax makes probabilities of them. The best are:"
    ),
    "walk_4": N_("Processors change what the model says"),
    "walk_4_says": N_("They look at what was said before: penalties, bans, a least length."),
    "walk_5": N_("Warpers decide what may be drawn"),
    "walk_5_says": N_("They look at the odds alone: sharper or flatter, and who stays in."),
    "walk_6": N_("Softmax, and the draw"),
    "walk_7": N_("The token joins the reply"),
    "walk_7_says": N_(
        "If it is an end token or completes a stop text, the reply ends. Otherwise the loop "
        "begins anew with one token more, until a limit is reached."
    ),
    "tab_compare": N_("Compare"),
    "compare_help": N_(
        "Ask the same question with two to four settings or models at once, and see where the "
        "replies part."
    ),
    "compare_add": N_("one more"),
    "compare_go": N_("Ask all at once"),
    "compare_there": N_("Replies to this question:"),
    "compare_choose": N_("Choose at least two replies."),
    "compare_first": N_("The others are compared with this one."),
    "compare_same": N_("The same, token by token."),
    "compare_diverges": N_("Another way from token {n}: {token}"),
    "compare_keep": N_("Show in the chat"),
    "compare_likelihoods": N_("How likely each was under the settings and models of the others"),
    "compare_likelihoods_help": N_(
        "Mean surprise a token; ✕ tokens that those settings make impossible, ? tokens that the "
        "recorded candidates do not settle; both are left out of the mean."
    ),
    "compare_read": N_("Have each model read the others’ replies"),
    "compare_reading": N_("reading, {share}"),
    "compare_under": N_("under {n}"),
    "compare_reply": N_("reply {n}"),
    "bits_a_token": N_("bits a token"),
    "model": N_("Model"),
    "preset": N_("Preset"),
    "before": N_("What stood before it"),
    "prompt_ids": N_("End of the prompt"),
    "output_ids": N_("Output so far"),
}


def labels() -> dict[str, str]:
    """Return all labels by name, in the visitor's language."""
    return {name: _(text) for name, text in _LABELS.items()}
