"""What the pages' scripts say: their ``say("...")`` finds these messages in the page, in its language."""

from hudd.language import marked

TEXTS = (
    # the report
    marked("{number} of {count}"),
    marked("{first} to {last} of {count}"),
    marked("earlier images"),
    marked("later images"),
    marked("Filter the rows"),
    marked("Cluster {name}"),
    marked("Errors selected: {count}"),
    marked("{count} of cluster {name}"),
    marked("copied"),
    marked("Merge the chosen clusters"),
    marked("Merge {numbers} into {into}"),
    marked("reading the page again …"),
    marked("the server has gone"),
    marked("not done: {reason}"),
    # both pages
    marked("saving …"),
    marked("saved"),
    marked("not saved: {reason}"),
    # the label page
    marked("{done} of {count} labelled"),
    marked("Image {path}"),
    marked("for cluster {cluster}; the DNN says {answer} ({score})"),
    marked("new labels in the study: {count}"),
    marked("the unsafe set is empty"),
)
