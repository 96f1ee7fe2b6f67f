"""itsdangerous: tokens of the same content made and checked. Arguments: how many. Prints {"check_us", "make_us"}."""

import json
import sys
from time import process_time

from itsdangerous import URLSafeSerializer

count = int(sys.argv[1])
signer = URLSafeSerializer("k" * 32)
began = process_time()
made = [signer.dumps([1, 1, number, 3]) for number in range(count)]
between = process_time()
for token in made:
    signer.loads(token)
print(json.dumps({"make_us": (between - began) / count * 1e6, "check_us": (process_time() - between) / count * 1e6}))
