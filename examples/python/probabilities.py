"""How sure is the model? Prints the alternatives to each token of an answer: python probabilities.py MODEL QUESTION"""

import math
import sys

from dormouse import Engine


def main() -> None:
    with Engine(sys.argv[1]) as engine, engine.session() as session:
        for event in session.chat([{"role": "user", "content": sys.argv[2]}], max_tokens=50, logprobs=3):
            if event.kind != "token":
                continue
            choices = (
                f"{engine.detokenize([token])!r} {100 * math.exp(log_probability):.1f} %"
                for token, log_probability in event.alternatives
            )
            print(f"{event.token:6}  " + "   ".join(choices))


main()
