"""What dermatologists who label pictures agree on, where it calls for more than the model's answer advises. It is an
opinion of people on a picture, and no diagnosis.
"""

from functools import reduce
from operator import or_

from django.db.models import Case, Q, Value, When

from ml.advice import Advice

CALLS_FOR = {  # https://www.nice.org.uk/guidance/ng12, 1.7: a suspected melanoma on the urgent pathway
    "MEL": Advice.URGENT_REFERRAL.value,
    "BCC": Advice.ROUTINE_REFERRAL.value,
    "AKIEC": Advice.ROUTINE_REFERRAL.value,
}
_ADVICE = [advice.value for advice in Advice]  # the most urgent first
CALLS_FOR_LESS = {
    dx: ["", *(other for other, less in CALLS_FOR.items() if _ADVICE.index(less) > _ADVICE.index(wanted))]
    for dx, wanted in CALLS_FOR.items()
}
"""For each opinion those that it replaces: none, and what calls for less."""
LESS_URGENT = {dx: _ADVICE[_ADVICE.index(wanted) + 1 :] for dx, wanted in CALLS_FOR.items()}
"""For each opinion the advice of an answer that is less urgent than it."""
DISSENT = reduce(or_, (Q(opinion=dx, advice__in=less) for dx, less in LESS_URGENT.items()))
"""Cases of which dermatologists see more than the answer that holds."""
REVIEW_TURN = Case(When(DISSENT, then=Value(0)), default=Value(1))
"""Which cases come first in what waits for review, whatever the model says of them."""
