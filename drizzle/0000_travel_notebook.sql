CREATE TABLE `cities` (
	`id` integer PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`country_code` text NOT NULL,
	`admin_code` text NOT NULL,
	`feature_code` text NOT NULL,
	`population` integer NOT NULL,
	`latitude` real NOT NULL,
	`longitude` real NOT NULL
);
--> statement-breakpoint
CREATE INDEX `cities_name_idx` ON `cities` ("name" collate nocase);--> statement-breakpoint
CREATE INDEX `cities_population_idx` ON `cities` (`population`);--> statement-breakpoint
CREATE INDEX `cities_country_idx` ON `cities` (`country_code`);--> statement-breakpoint
CREATE TABLE `countries` (
	`code` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`official_name` text NOT NULL,
	`region` text NOT NULL,
	`subregion` text NOT NULL,
	`capital` text,
	`flag` text NOT NULL,
	`area` real NOT NULL,
	`landlocked` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `users` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `visits` (
	`id` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`city_id` integer NOT NULL,
	`note` text,
	`visited_at` integer NOT NULL,
	FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `visits_user_idx` ON `visits` (`user_id`,`visited_at`);