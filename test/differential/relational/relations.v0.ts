import { relations } from 'drizzle-orm';
import { items, orders, posts, postTags, tags, users } from '../schema';

export const usersRelations = relations(users, ({ many }) => ({
  posts: many(posts),
  postTags: many(postTags),
  orders: many(orders),
}));

export const postsRelations = relations(posts, ({ one, many }) => ({
  author: one(users, { fields: [posts.userId], references: [users.id] }),
  postTags: many(postTags),
}));

/** The user of an order is on another shard more often than not. */
export const ordersRelations = relations(orders, ({ one, many }) => ({
  user: one(users, { fields: [orders.userRef], references: [users.id] }),
  items: many(items),
}));

export const itemsRelations = relations(items, ({ one }) => ({
  order: one(orders, { fields: [items.orderId], references: [orders.id] }),
}));

export const tagsRelations = relations(tags, ({ many }) => ({ postTags: many(postTags) }));

export const postTagsRelations = relations(postTags, ({ one }) => ({
  user: one(users, { fields: [postTags.userId], references: [users.id] }),
  post: one(posts, { fields: [postTags.postId], references: [posts.id] }),
  tag: one(tags, { fields: [postTags.tagId], references: [tags.id] }),
}));
