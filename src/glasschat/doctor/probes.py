"""Texts that are used to compare models. They are the same for every model."""

# Each asks something else of a tokenizer: how it splits letters, digits, blanks, scripts.
TEXTS: dict[str, str] = {
    "English": "The quick brown fox doesn't jump over we'll-see's lazy dogs, does it?",
    "German": "Übermäßig schöne Grüße aus der Straßenbahn: „Wo wär's nun hübscher?“",
    "French": "L'été dernier, où étiez-vous ? J'ai mangé 3 crêpes à 2,50 € — c'était bon !",
    "Russian": "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Chinese": "今天天气很好，我们去公园散步吧！人工智能正在改变世界，二〇二六年。",
    "traditional Chinese": "臺灣的夜市有許多小吃，妳最喜歡哪一種？「珍珠奶茶」。",
    "Japanese": "吾輩は猫である。名前はまだ無い。カタカナとひらがなと漢字。",
    "Korean": "안녕하세요, 오늘 날씨가 참 좋네요. 산책하러 갈까요?",
    "Arabic": "السلام عليكم، كيف حالك اليوم؟ الطقس جميل.",
    "Hindi": "नमस्ते, आप कैसे हैं? आज मौसम बहुत अच्छा है।",
    "Thai": "สวัสดีครับ วันนี้อากาศดีมาก",
    "emoji": "Well done 👍🏽 👩\u200d👩\u200d👧\u200d👦 🇨🇭🎉 ❤\ufe0f\u200d🔥 ok",
    "accents": "e\u0301te\u0301 vs été, ﬁne, ①②③, Å vs A\u030a",
    "Python": "def add(a, b):\n    '''Sum.'''\n    if a!=b:\n        return a+b\n\treturn 2*a\n",
    "C": "#include <stdio.h>\nint main(void) {\n\tprintf(\"%d\\n\", x[0]->y++ << 2);\n}\n",
    "JSON": '{"name": "x_1", "list": [1, 2.5e-3, null, true], "nested": {"k": ""}}',
    "address": "https://example.org/a/b?q=1&lang=de#top mail@example.org C:\\Users\\me",
    "numbers": "0 7 42 123 1234 12345 1234567890 3.14159 1,000,000 2026-11-23 12:30 -5e10 0xFF",
    "formula": "$\\int_0^1 x^2\\,dx = \\frac{1}{3}$ and 5×3≠16 → ∞ ∈ ℝ",
    "capitals": "HTTPServer iPhone DON'T I'LL aBcDeF SCREAMING_SNAKE camelCaseWord",
    "blanks": " one  two   three    four\ttab\t\ttabs \n newline \n\n\n three \r\n end ",
    "only blanks": "        ",
    "strange blanks": "no\u00a0break\u3000ideographic\u2009thin\u200bzero\ufeffmark",
    "punctuation": "...!!!???---___===***###@@@ (([[{{}}]])) <<>> ~~ `` ''\"\" ;;:: ,,",
    "long word": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "space mark": "a\u2581b \u2581\u2581 c",
    "Jinja": "{{ bos_token }} {% for x in y %} {# no #}",
    "": "",
}  # fmt: skip

# What families use as structure; to a model of another family they are words as any other.
PIECES = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|end_of_text|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<s>", "</s>", "[INST]", "[/INST]",
    "<<SYS>>", "<start_of_turn>", "<end_of_turn>", "<|user|>", "<|assistant|>", "<|end|>",
    "<think>", "</think>", "<tool_call>", "<unk>", "<0x0A>",
)  # fmt: skip

# Private-use characters, which stand for contents while a template is laid out.
SENTINELS = ("\U000f0000", "\U000f0001\U000f0000", "\U00100000")

# Read by both models, which say at each place what would come next. Plain prose, some of it in
# every model's training, so that a difference is the model's and not the text's.
PASSAGES = (
    "The capital of France is Paris, which lies on the river Seine. The city has about two "
    "million inhabitants, and is known for the Eiffel Tower, for its museums and for its food.",
    "Water is made of hydrogen and oxygen. At sea level it boils at one hundred degrees Celsius "
    "and freezes at zero. Most of the surface of the Earth is covered by it.",
    "def factorial(n):\n    if n == 0:\n        return 1\n    return n * factorial(n - 1)\n\n\n"
    "def main():\n    print(factorial(5))\n",
    "Once upon a time there was a little girl who lived with her mother in a small house at the "
    "edge of the forest. One day her mother said to her: take this basket to your grandmother.",
    "人工智能是计算机科学的一个分支，它研究如何让机器像人一样思考和学习。今天，人们每天都在使用它。",
)  # fmt: skip

# Asked of both models; the reply is the likeliest token each time.
QUESTIONS = (
    "What is the capital of France? Answer in one sentence.",
    "Explain in two sentences why the sky is blue.",
    "Write a short poem about the sea.",
)
