-- For the statistics of the last hour. Orders are recorded about when they end, so that an insert goes to the end of it.
CREATE INDEX orders_by_end ON orders (updated_at);
