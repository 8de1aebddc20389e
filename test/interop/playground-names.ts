/** Names of the playground that tests ask for. */
export const NAME = "www.shop.example";
export const ADDRESS = "203.0.113.10";
export const BIG_NAME = "t4096.big.org";
/** Answered after 100 ms. */
export const SLOW_NAME = "d100-x.slow.lab";
