package holdpoint.policies.http.destructive_methods_test

import data.holdpoint.lib.testing
import data.holdpoint.policies.http.destructive_methods

test_items_are_held if {
	every path in [
		"/customers/7", "/api/v2/customers/7", "/customers/alice", "/customers/7/orders/ord_12",
		"/repos/acme/widgets/12", "/files/3f2504e0-4f89-11d3-9a0c-0305e82c3301",
	] {
		given := testing.http("production", testing.request("DELETE", path))
		testing.codes(destructive_methods.findings) == {"delete-item"} with input as given
	}
}

test_operators_approve_items if {
	given := testing.http("production", testing.request("DELETE", "/customers/7"))
	{f.approval.group | some f in destructive_methods.findings} == {"operators"} with input as given
}

test_a_target_names_its_own_approvers if {
	given := testing.http("production", testing.request("DELETE", "/customers/7"))
	{f.approval.group | some f in destructive_methods.findings} == {"crm-owners"} with input as given
		with data.holdpoint.config.targets.crm as {"approval_group": "crm-owners"}
}

test_collections_are_blocked if {
	every path in [
		"/", "/customers", "/api/v1/customers", "/customers/7/orders", "/customers/all", "/customers/*",
		"/customers/1,2,3", "/logs-*", "/API/V1/Customers",
	] {
		given := testing.http("production", testing.request("DELETE", path))
		testing.codes(destructive_methods.findings) == {"delete-collection"} with input as given
	}
}

test_a_query_that_selects_is_a_collection if {
	every query in [
		{"ids": ["1"]}, {"ids[]": ["1"]}, {"filter": ["x"]}, {"ALL": ["true"]}, {"name": ["*"]}, {"name": ["a,b"]}, {"q": [""]},
	] {
		facts := object.union(testing.request("DELETE", "/customers/7"), {"query": query})
		given := testing.http("production", facts)
		testing.codes(destructive_methods.findings) == {"delete-collection"} with input as given
	}
}

test_an_ordinary_query_changes_nothing if {
	facts := object.union(testing.request("DELETE", "/customers/7"), {"query": {"reason": ["spam"], "all": ["false"]}})
	given := testing.http("production", facts)
	testing.codes(destructive_methods.findings) == {"delete-item"} with input as given
}

test_a_body_that_selects_is_a_collection if {
	every body in [[1, 2], {"ids": [1]}, {"query": {"match_all": {}}}] {
		facts := object.union(
			testing.request("DELETE", "/customers/7"),
			{"body": {"inspected": true, "size": 9, "json": body}},
		)
		given := testing.http("production", facts)
		testing.codes(destructive_methods.findings) == {"delete-collection"} with input as given
	}
}

test_another_case_is_no_way_round if {
	given := testing.http("production", testing.request("delete", "/customers"))
	testing.codes(destructive_methods.findings) == {"delete-collection"} with input as given
}

test_bulk_deletion_by_another_method_is_blocked if {
	every path in ["/orders/_delete_by_query", "/customers/Bulk-Delete", "/tables/orders/truncate", "/a;x=1/purge;y=2"] {
		given := testing.http("production", testing.request("POST", path))
		testing.codes(destructive_methods.findings) == {"delete-in-bulk"} with input as given
	}
}

test_deleting_by_reading_is_held if {
	every path in ["/customers/7/delete", "/customers/7/Remove", "/index/purge", "/customers/7%2fdelete"] {
		decoded := replace(path, "%2f", "/")
		facts := object.union(testing.request("GET", path), {"segments": [trim(decoded, "/")]})
		given := testing.http("production", facts)
		testing.codes(destructive_methods.findings) == {"delete-by-reading"} with input as given
	}
}

test_outside_production_nothing_is_found if {
	every method in ["DELETE", "POST", "GET"] {
		given := testing.http("dev", testing.request(method, "/customers/purge"))
		count(destructive_methods.findings) == 0 with input as given
	}
}

test_reads_are_left_alone if {
	given := testing.http("production", testing.request("GET", "/customers/deleted"))
	count(destructive_methods.findings) == 0 with input as given
}
