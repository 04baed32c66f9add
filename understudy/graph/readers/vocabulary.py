"""Words for synthetic texts: our own topics, then made-up words."""

import numpy as np

TOPICS = {
    "astronomy": "star planet orbit comet telescope galaxy nebula eclipse lunar solar crater moon",
    "cooking": "oven simmer garlic butter recipe roast flour spoon sauce pepper dough kettle",
    "sailing": "anchor harbor mast rudder keel breeze tide captain deck rope compass voyage",
    "gardening": "seed soil prune bloom rose weed compost shovel hedge tulip orchard petal",
    "medicine": "doctor fever vaccine clinic nurse symptom dose surgery artery remedy virus pulse",
    "music": "melody violin rhythm chord piano choir tempo drum sonata tune flute concert",
    "law": "court judge verdict statute lawyer appeal clause witness contract jury plea trial",
    "cycling": "pedal saddle wheel brake helmet sprint gear chain tire climb peloton handlebar",
    "weather": "rain thunder cloud storm drizzle frost humid forecast snow hail fog gust",
    "banking": "loan deposit interest credit ledger account mortgage teller bond savings cash fee",
    "carpentry": "hammer plank chisel oak varnish nail sawdust joint drill timber workshop bench",
    "geology": "granite fossil magma quartz basalt erosion mineral strata volcano slate fault ore",
    "sewing": "needle thread fabric button stitch zipper hem cotton pattern sleeve tailor lace",
    "theatre": "stage actor curtain script rehearsal drama audience costume scene cue comedy play",
    "beekeeping": "hive honey queen swarm nectar wax drone pollen smoker apiary comb sting",
    "railways": "train track station signal engine wagon tunnel platform guard freight rail bogie",
}
SHARED_TEXT = (
    "the a new old small large good plain early late first last many few long short near far "
    "with without about after before under over between report note guide study list page part "
    "group place time year day work use show make find keep give take open close change begin"
)
SHARED = tuple(SHARED_TEXT.split())
SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
WORDS_PER_TOPIC = 12


def topic_names(count: int) -> tuple[str, ...]:
    """Names of `count` classes."""
    names = list(TOPICS)[:count]
    return (*names, *(f"topic{index}" for index in range(len(names), count)))


def topic_words(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.str_]]:
    """str [count, WORDS_PER_TOPIC]: the words of each class, no word in two classes."""
    rows = [words.split() for words in list(TOPICS.values())[:count]]
    made_up = (made_up_word(index) for index in range((count - len(rows)) * WORDS_PER_TOPIC))
    while len(rows) < count:
        rows.append([next(made_up) for _ in range(WORDS_PER_TOPIC)])
    return np.array(rows).reshape(count, WORDS_PER_TOPIC)


def made_up_word(index: int) -> str:
    """A pronounceable word, different for every index."""
    word = "qu"  # only "queen" starts like this, and it ends differently
    for _ in range(3):
        index, syllable = divmod(index, len(SYLLABLES))
        word += SYLLABLES[syllable]
    return word + (str(index) if index else "")
