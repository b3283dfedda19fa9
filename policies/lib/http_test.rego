package holdpoint.lib.http_test

import data.holdpoint.lib.http
import data.holdpoint.lib.testing

words(segments) := found if {
	found := http.words with input as testing.http("dev", {"segments": segments})
}

test_words_are_what_each_segment_says if {
	words(["Customers", "7"]) == ["customers", "7"]
	words(["x/Admin;a=1/y", "b\\c. .", ";only", " . "]) == ["x", "admin", "y", "b", "c"]
	words(["a;b", "c;d=/e", "f.g.", ". h"]) == ["a", "c", "e", "f.g", ". h"]
	words(["a;\n1", "b \n."]) == ["a", "b \n"]
	words([]) == []
}

# As each segment was read by itself before.
test_many_words_are_found if {
	segments := [sprintf("A%d;x", [i]) | some i in numbers.range(1, 256)]
	words(segments) == [sprintf("a%d", [i]) | some i in numbers.range(1, 256)]
}

test_what_stands_in_two_segments_is_no_escape if {
	not http.disguised with input as testing.http("dev", {"segments": ["100%", "41"]})
	http.disguised with input as testing.http("dev", {"segments": ["x", "%41"]})
	http.disguised with input as testing.http("dev", {"segments": ["..;x", "y"]})
}
