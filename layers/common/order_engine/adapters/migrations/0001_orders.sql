-- Finished orders, one row each, and every status they went through.

-- Whole tokens or a price, exact. Every number below Infinity: this refuses NaN too, which Postgres sorts above it.
CREATE DOMAIN token_amount AS numeric CHECK (VALUE >= 0 AND VALUE < 'Infinity');

CREATE TABLE orders (
    -- Collated by bytes, as text is compared everywhere else: a page of live orders and one of these must merge.
    id                    text COLLATE "C" PRIMARY KEY,
    type                  text NOT NULL,
    status                text NOT NULL CHECK (status IN ('confirmed', 'failed', 'expired')),
    owner                 text NOT NULL,
    user_id               text,
    client_order_id       text,

    token_in              text NOT NULL,
    token_out             text NOT NULL CHECK (token_out <> token_in),
    swap_mode             text NOT NULL CHECK (swap_mode IN ('exactIn', 'exactOut')),
    amount                token_amount NOT NULL CHECK (amount > 0),
    slippage_bps          integer NOT NULL CHECK (slippage_bps BETWEEN 0 AND 10000),
    expires_at            timestamptz,

    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,
    sequence              integer NOT NULL CHECK (sequence > 0),
    attempts              integer NOT NULL CHECK (attempts > 0),

    dex                   text,
    reason                text,
    route                 jsonb,
    min_amount_out        token_amount,
    max_amount_in         token_amount,
    amount_in             token_amount,
    amount_out            token_amount,
    final_price           token_amount,
    price_improvement_bps numeric,
    fees                  jsonb,
    transaction_hash      text CHECK ((transaction_hash IS NOT NULL) = (status = 'confirmed')),

    error_code            text,
    error_message         text,
    -- The same sentence under the other name that existing readers of this table use.
    failure_reason        text GENERATED ALWAYS AS (error_message) STORED
);

-- One index for each list that the API gives: newest first, so they are read backwards, and an insert goes to the end.
CREATE INDEX orders_by_age ON orders (created_at, id);
CREATE INDEX orders_by_status ON orders (status, created_at, id);
CREATE INDEX orders_by_type ON orders (type, created_at, id);
CREATE INDEX orders_by_user ON orders (user_id, created_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX orders_by_pair ON orders (token_in, token_out, created_at, id);

CREATE TABLE order_status_history (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   text COLLATE "C" NOT NULL REFERENCES orders (id),
    sequence   integer NOT NULL CHECK (sequence > 0),
    status     text NOT NULL
               CHECK (status IN ('pending', 'routing', 'building', 'submitted', 'confirmed', 'failed', 'expired')),
    payload    jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (order_id, sequence)
);
