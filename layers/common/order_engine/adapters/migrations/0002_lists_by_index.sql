-- Every list that the API gives, under any filter and mix of filters, is read from one index, newest first, and no
-- further than its page. Status is in all of them, so a list of any status is those of each status, merged. There is
-- none for the type, as long as there is one type.

-- The new ones first: making an index stops the writers, which try again later, and dropping one stops readers too.
CREATE INDEX orders_of_user ON orders (user_id, status, created_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX orders_of_pair ON orders (token_in, token_out, status, created_at, id);
CREATE INDEX orders_of_user_and_pair ON orders (user_id, token_in, token_out, status, created_at, id)
    WHERE user_id IS NOT NULL;

DROP INDEX orders_by_age, orders_by_type, orders_by_user, orders_by_pair;
