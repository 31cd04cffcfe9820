"""Was this person in this model? Its losses on everybody's recordings, by place among the pseudonyms in order.

The recipe does not know who was in, so it cannot help either side. The gate knows, and makes the curve of it.
"""

from sandbox.training import membership


def main(run):
    given = run.input("model")
    losses = membership.attacked(given.tensors, given.metadata)
    places = membership.places(run.records)
    for person, place in places.items():
        records = [record for record in run.records if record.subject == person]
        heard = map(losses, run.stream(records[: run.parameters["records"]]))
        if found := [one for one in heard if one is not None]:
            mean = membership.mean(found)
            run.log("person_duration_loss", place, mean.duration)
            run.log("person_loss", place, mean.total)
        run.progress(place + 1, len(places))
    run.log("people", 0, len(places))
