"""A page of what traffic mostly is (prose, logs, code, JSON, tables), with none of the values that the shipped rules
find: what a rule finds here it finds everywhere."""

TEXT = """\
Thank you for your message of last Tuesday. The second delivery left our warehouse on 14 March and should reach you
within three working days; if it does not, please answer this mail and quote the order number 4410287.
We have looked at the proposal again. On page 12 the sum is 18,450.00, on page 14 it is 18,540.00: which is right?
The meeting of the board was moved to Thursday, 10:30, in room B 204. Coffee is at ten, and lunch at half past twelve.
She opened the window, looked down at the street, and said that nobody would come back before the autumn.
Our team grew from 14 to 23 people in 2025, and 7 of them work from Lisbon, Kraków or Montréal. Next year: 30.
Step 3: unscrew the four M4x20 bolts (part no. 88-1204-7), lift the cover, and disconnect the cable from socket J7.
The recipe asks for 250 g of flour, 3 eggs and 1/2 l of milk; bake it at 180 degrees for 45 minutes, then let it rest.

2026-02-03T09:15:42.118Z INFO  api-7f9c6d5b4-x2lqp request handled method=GET path=/v2/orders/83312 status=200 ms=41
2026-02-03T09:15:42.377Z DEBUG api-7f9c6d5b4-x2lqp cache miss key=catalogue:de:page:17 size=20481 ttl=300
2026-02-03 09:15:43,004 WARN [worker-12] o.a.k.c.NetworkClient - Connection to node 2 could not be established.
[2026-02-03 09:15:43 +0000] [4127] [ERROR] Worker timeout (pid: 4133), restarting; uptime 86401 s, 1048576 kB resident
Feb  3 09:15:44 web-03 kernel: [1209331.552817] eth0: link up, 10000 Mbps, full duplex, flow control: rx/tx
time="2026-02-03T09:15:44Z" level=info msg="retrying in 1.6s" attempt=4 component=scheduler job=nightly-export
GET /static/js/main.3f2a91c0.js HTTP/1.1 304 0 "https://shop.example/en/products?page=3&sort=price" 0.002
trace=4bf92f3577b34da6a3ce929d0e0e4736 span=00f067aa0ba902b7 service=checkout operation=reserve duration_us=18233

{"id": 90412, "status": "shipped", "items": [{"sku": "TB-4471-XL", "quantity": 2, "price": 39.9}], "total": 79.8}
{"level":"info","ts":1767225600.118,"caller":"store/index.go:214","msg":"compacted","segments":18,"bytes":73400320}
{"title": "Quarterly report", "pages": 48, "created": "2026-01-09", "tags": ["finance", "draft"], "public": false}
{"commit": "9c1185a5c5e9fc54612808977ee8f548b2258d31", "files": 12, "insertions": 341, "deletions": 97}
{"request_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "latency_ms": 18.25, "region": "eu-central-1", "retries": 0}
{"name": "web", "cpu": 0.734, "memory": 536870912, "disk": {"read": 91023, "written": 1200456}, "healthy": true}
{"model": "small-2", "choices": [{"index": 0, "delta": {"content": " the next train leaves at 7:52"}}]}

def settle(orders: list[Order], rate: float = 0.19) -> Decimal:
    total = sum((order.price * order.quantity for order in orders), Decimal(0))
    if total > MAX_TOTAL_2024 or len(orders) > 1000:
        raise ValueError(f"too much: {total:.2f} of {len(orders)} orders")
    return round(total * Decimal(1 + rate), 2)
for (let i = 0; i < rows.length; i += 16) { queue.push(rows.slice(i, i + 16).map(row => row.id)); }
SELECT c.name, count(*) AS n FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY 1 HAVING count(*) > 10;
#define BUFFER_SIZE 0x4000  /* 16 KiB, see RFC 8446 section 5.1 */
import { useState, useEffect } from "react"; import styles from "./Table.module.css";
<tr class="row-3"><td>Blue shirt, size 42</td><td>EUR 24.95</td><td>in stock: 118</td></tr>
version: "3.8", image: registry.example/shop/api:1.14.2, replicas: 3, memory: 512Mi, port: 8080
$ tar xzf release-2.14.0.tar.gz && cd release-2.14.0 && make -j8 install PREFIX=/opt/shop 2>&1 | tee build.log

date,region,units,revenue,change
2026-01-31,north,1204,48160.00,+3.2 %
2026-01-31,south,987,39480.00,-0.4 %
2026-02-28,north,1318,52720.00,+9.5 %
"""
